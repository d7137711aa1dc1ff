"""A data set as a JSONL manifest: each line is an object with picture, mask and captions.

    {"picture": "a.jpg", "mask": "a.png", "captions": ["A woman.", "She smiles."], "split": "train"}

Paths are relative to the manifest. `caption` can hold a single one; `name` and `split` are optional.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..support.texts import composed
from .captions import strings
from .errors import DatasetError
from .layouts import MANIFESTS
from .listing import is_there
from .tables import check_keys, rows

_KEYS = ("name", "picture", "mask", "captions", "caption", "split")
_SPLITS = ("all", "train", "test")


@dataclass(frozen=True)
class Entry:
    """One line."""

    name: str
    picture: Path | None
    mask: Path
    captions: tuple[str, ...]
    split: Literal["all", "train", "test"]


def find_manifest(root: Path) -> Path:
    """The manifest's file, which may be the root itself."""
    if root.is_file():
        return root
    for name in MANIFESTS:
        if (root / name).is_file():
            return root / name
    raise DatasetError(f"There is no {' or '.join(MANIFESTS)} in {root}: set data.root to the manifest's file.")


def read_manifest(path: Path, pictures: bool = True) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries in the file's order, and a sentence for each file that is missing or occurs twice.

    Raises:
        DatasetError: a line that is not such an object.
    """
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for number, row in rows(path):
        entry = _entry(path, number, row, pictures)
        missing = [file for file in (entry.picture, entry.mask) if file is not None and not is_there(file)]
        if missing:
            problems.append(f"{path}, line {number}: there is no file {missing[0]}.")
        elif entry.name in entries:
            problems.append(f"{path}, line {number}: the name {entry.name} was given before.")
        else:
            entries[entry.name] = entry
    return tuple(entries.values()), tuple(problems)


def _entry(path: Path, number: int, row: dict[str, Any], pictures: bool) -> Entry:
    where = f"{path}, line {number}"
    check_keys(where, row, _KEYS)
    for key in ("mask", "picture"):
        needed = key == "mask" or pictures
        if (needed or row.get(key) is not None) and not (isinstance(row.get(key), str) and row[key]):
            raise DatasetError(f"{where}: {key} is missing; it is a path, relative to the manifest.")
    if not isinstance(row.get("name") or "", str):
        raise DatasetError(f"{where}: the name is {row['name']!r:.80}; expected a text.")
    if "caption" in row and "captions" in row:
        raise DatasetError(f"{where}: both caption and captions are given; keep one of them.")
    if row.get("split", "all") not in _SPLITS:
        raise DatasetError(f"{where}: split is {row['split']!r:.80}; known are {', '.join(_SPLITS)}.")
    picture, mask = (path.parent / row[key] if row.get(key) else None for key in ("picture", "mask"))
    assert mask is not None  # checked above
    return Entry(
        name=composed(row.get("name") or os.path.splitext(Path(row["mask"]).as_posix())[0]),
        picture=picture,
        mask=mask,
        captions=strings(where, "the line", row.get("captions", row.get("caption", []))),
        split=row.get("split", "all"),
    )
