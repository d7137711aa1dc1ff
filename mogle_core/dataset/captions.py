"""Captions as data sets store them: one JSON for all pictures, or a text file for each with a caption a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DatasetError


@dataclass(frozen=True)
class Captions:
    """Captions by picture: `texts` by name, or a folder whose files are read as they are asked for."""

    place: Path | None
    texts: Mapping[str, tuple[str, ...]]
    folder: Path | None = None

    def of(self, name: str) -> tuple[str, ...]:
        """A picture's captions, stripped, without empty ones."""
        if self.folder is None:
            return self.texts.get(name, ())
        path = self.folder / f"{name}.txt"
        return _lines(path) if path.is_file() else ()


def read_captions(place: Path | None) -> Captions:
    """Captions from a .json file ({"0.jpg": [...]} or {"0": "..."}), a folder of .txt, or nowhere.

    Raises:
        DatasetError: the file is no such JSON.
    """
    if place is None:
        return Captions(None, {})
    if place.is_dir():
        return Captions(place, {}, place)
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{place}: this is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise DatasetError(f"{place}: expected an object of captions by picture, found a {type(found).__name__}.")
    return Captions(place, {_stem(name): strings(place, name, value) for name, value in found.items()})


def strings(place: Path | str, name: str, value: Any) -> tuple[str, ...]:
    """One caption or several, as a tuple."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise DatasetError(f"{place}: the captions of {name} are {value!r}; expected a text or a list of texts.")
    return tuple(text.strip() for text in listed if text.strip())


def _stem(name: str) -> str:
    head, dot, suffix = name.rpartition(".")
    return head if dot and suffix.lower() in ("jpg", "jpeg", "png", "webp") else name


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: this is no UTF-8 text ({error.reason}); save it as such.") from error
