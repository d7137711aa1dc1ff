"""A data set as a JSONL manifest: one object a line with picture, mask and captions.

    {"picture": "a.jpg", "mask": "a.png", "captions": ["A woman.", "She smiles."], "split": "train"}

Paths are relative to the manifest. `caption` may stand for a single one; `name` and `split` are optional.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .captions import strings
from .errors import DatasetError
from .layouts import MANIFESTS

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
    """The entries in the file's order, and a sentence for each file that is missing or named twice.

    Raises:
        DatasetError: a line that is no such object.
    """
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            entry = _entry(path, number, line, pictures)
            missing = [file for file in (entry.picture, entry.mask) if file is not None and not file.is_file()]
            if missing:
                problems.append(f"{path}, line {number}: there is no file {missing[0]}.")
            elif entry.name in entries:
                problems.append(f"{path}, line {number}: the name {entry.name} was given before.")
            else:
                entries[entry.name] = entry
    return tuple(entries.values()), tuple(problems)


def _entry(path: Path, number: int, line: str, pictures: bool) -> Entry:
    where = f"{path}, line {number}"
    try:
        found: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{where}: this is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise DatasetError(f"{where}: expected an object with picture, mask and captions.")
    for key in ("mask", "picture") if pictures else ("mask",):
        if not isinstance(found.get(key), str):
            raise DatasetError(f"{where}: {key} is missing; it is a path, relative to the manifest.")
    if unknown := [key for key in found if key not in _KEYS]:
        raise DatasetError(f"{where}: {unknown[0]} is unknown; known are {', '.join(_KEYS)}.")
    if found.get("split", "all") not in _SPLITS:
        raise DatasetError(f"{where}: split is {found['split']!r}; known are {', '.join(_SPLITS)}.")
    picture, mask = (path.parent / found[key] if found.get(key) else None for key in ("picture", "mask"))
    assert mask is not None  # checked above
    return Entry(
        name=str(found.get("name") or Path(found["mask"]).with_suffix("").as_posix()),
        picture=picture,
        mask=mask,
        captions=strings(where, "the line", found.get("captions", found.get("caption", []))),
        split=found.get("split", "all"),
    )
