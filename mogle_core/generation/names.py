"""Names of jobs, by which their pictures are stored: one form each, and what no file system may take."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..dataset.errors import DatasetError
from ..dataset.listing import is_hidden
from ..support.texts import composed

RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *(port + n for port in ("COM", "LPT") for n in "123456789¹²³")}
)
"""Names that Windows gives to devices, whatever their ending."""

LONGEST = 200
"""Bytes of a file's name without endings; file systems take 255 with them."""


def too_long(name: str) -> bool:
    """Whether no common file system takes a file of this name, with its ending while it is written."""
    return any(len(part.encode()) > LONGEST for part in name.split("/"))


def canonical(name: str) -> str:
    """A job's name in the one form by which its file is known: `./a//b` is `a/b`, letters are composed."""
    parts = [part for part in composed(name).split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + "/".join(parts)


def check_names(names: Iterable[str]) -> None:
    """Raises DatasetError for a name that is no file's on some system, or for two names of one file."""
    seen: dict[str, str] = {}
    for name in names:
        if (reason := _unfit(name)) is not None:
            raise DatasetError(
                f"The name {name!r:.200} cannot be the name of a file within the output folder: {reason}."
            )
        same = seen.get(name.lower())
        if same == name:
            raise DatasetError(f"The name {name} is given twice: each picture takes the name of its job.")
        if same is not None:
            raise DatasetError(
                f"The names {same} and {name} differ only in capitals: on Windows and macOS they are one file, and "
                "one picture would replace the other. Rename one of them."
            )
        seen[name.lower()] = name


def _unfit(name: str) -> str | None:
    """Why a picture cannot be called so on every system. A name that is only too long fails its own job."""
    if name.startswith("/") or ".." in name.split("/"):
        return "it leads out of it"
    if found := re.search(r'[\\:*?"<>|\x00-\x1f]', name):
        return f"Windows allows no {found[0]!r}"
    for part in name.split("/"):
        if part.split(".")[0].strip().upper() in RESERVED:
            return f"Windows reserves {part.split('.')[0]!r}"
        if part != part.strip() or part.endswith("."):
            return "Windows drops stops and spaces at the end of a name"
        if is_hidden(part):
            return f"{part} is hidden, and what lists pictures leaves it out"
    return None if name else "it is empty"
