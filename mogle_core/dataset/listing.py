"""Lists the data files of a folder: the files that every reader ignores, and how names are compared.

Hidden files (macOS writes `._1.png` beside `1.png` on foreign disks), notebooks' checkpoints and file managers'
thumbnails are ignored. Linked folders are followed. Names are compared in Unicode's composed form, since macOS
stores the decomposed one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..support.texts import composed
from .errors import DatasetError

NOT_DATA = frozenset({"__macosx", "thumbs", "thumbnails", "@eadir", "__pycache__"})
"""Folders, in lower case, that tools create beside pictures."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not data, but hidden or a tool's."""
    return name.startswith((".", "~$")) or name.lower() in NOT_DATA or name.lower() in ("thumbs.db", "desktop.ini")


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """The files with these endings (in lower case) in a folder and its sub-folders, in order of their names."""
    visited: set[tuple[int, int]] = set()
    for inner, folders, files in os.walk(folder, followlinks=True):
        place = os.stat(inner)
        if place.st_ino and (place.st_dev, place.st_ino) in visited:
            folders.clear()  # a link back into a folder that was already visited
            continue
        visited.add((place.st_dev, place.st_ino))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for file in sorted(files):
            if os.path.splitext(file)[1].lower() in suffixes and not is_hidden(file):
                yield Path(inner, file)


def is_there(file: Path) -> bool:
    """Whether it is a file; a name that no file system takes is not."""
    try:
        return file.is_file()
    except (OSError, ValueError):
        return False


def name_below(path: Path, folder: Path) -> str:
    """A file's name for people and tables: its path below `folder`, without suffix, with slashes, composed."""
    return composed(path.relative_to(folder).with_suffix("").as_posix())


def by_name(files: Iterable[Path], folder: Path, remedy: str = "keep one of them") -> dict[str, Path]:
    """Files below a folder by their names, as `name_below` gives them, in the same order.

    Raises DatasetError, which ends with the remedy, if two files have one name.
    """
    named: dict[str, Path] = {}
    for path in files:
        name = name_below(path, folder)
        if name in named:
            raise DatasetError(f"{folder} has both {named[name].name} and {path.name}: {remedy}.")
        named[name] = path
    return named
