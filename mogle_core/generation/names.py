"""The names of jobs, which are those of their files: brings each into one form, and refuses impossible ones."""

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
"""The longest name in bytes, without endings. With them, file systems allow 255."""


def too_long(name: str) -> bool:
    """Whether a file of this name is too long for common file systems, counting the ending of its unfinished form."""
    return any(len(part.encode()) > LONGEST for part in name.split("/"))


def canonical(name: str) -> str:
    """A job's name in the form in which its file is stored: `./a//b` becomes `a/b`, and letters are composed."""
    parts = [part for part in composed(name).split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + "/".join(parts)


def check_names(names: Iterable[str]) -> None:
    """Raises DatasetError for a name that some system does not allow for a file, or if two names mean one file."""
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
    """Why a picture cannot have this name on every system. A name that is merely too long only fails its own job."""
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
            return f"{part} would be a hidden file, which every list of pictures leaves out"
    return None if name else "it is empty"
