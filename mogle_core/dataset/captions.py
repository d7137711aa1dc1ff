"""Reads the captions of data sets: one JSON for all pictures, or a text file for each, with a caption on each line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..support.texts import TextError, composed, full_lines, read_json_file
from .errors import DatasetError
from .listing import files_below, name_below

_PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff")


@dataclass(frozen=True)
class Captions:
    """Captions by picture: `texts` by name, or a folder whose files are read on demand."""

    place: Path | None
    texts: Mapping[str, tuple[str, ...]]
    folder: Path | None = None

    def of(self, name: str) -> tuple[str, ...]:
        """A picture's captions, stripped, without empty ones."""
        if self.folder is None:
            return self.texts.get(name, ())
        path = self.folder / f"{name}.txt"
        if not path.is_file():  # unless the file system spells the name in other code points
            found = _text_files(self.folder).get(name)
            return _lines(found) if found is not None else ()
        return _lines(path)


def read_captions(place: Path | None) -> Captions:
    """Captions from a .json file ({"0.jpg": [...]} or {"0": "..."}), a folder of .txt, or none.

    Raises:
        DatasetError: the file does not hold such JSON, or two different captions for one name.
    """
    if place is None:
        return Captions(None, {})
    if place.is_dir():
        return Captions(place, {}, place)
    try:
        found = read_json_file(place)
    except TextError as error:
        raise DatasetError(str(error)) from error
    if not isinstance(found, dict):
        raise DatasetError(f"{place}: expected an object of captions by picture, found a {type(found).__name__}.")
    texts: dict[str, tuple[str, ...]] = {}
    for name, value in found.items():
        given = strings(place, name, value)
        if texts.setdefault(_stem(name), given) != given:
            raise DatasetError(
                f"{place}: {_stem(name)} has captions under two names, and {name} is one of the two. Keep one of them."
            )
    return Captions(place, texts)


def strings(place: Path | str, name: str, value: Any) -> tuple[str, ...]:
    """One caption or several, as a tuple."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise DatasetError(f"{place}: the captions of {name} are {value!r:.80}; expected a text or a list of texts.")
    return tuple(text.strip() for text in listed if text.strip())


def _stem(name: str) -> str:
    head, dot, suffix = name.rpartition(".")
    return composed(head if dot and suffix.lower() in _PICTURES else name)


@lru_cache(maxsize=8)
def _text_files(folder: Path) -> Mapping[str, Path]:
    return {name_below(path, folder): path for path in files_below(folder, (".txt",))}


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(full_lines(path))
    except TextError as error:
        raise DatasetError(str(error)) from error
