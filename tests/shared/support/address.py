"""Copies the repository's address from `Repository` in pyproject.toml into every other file that names it.

python tests/shared/support/address.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.places import REPOSITORY
from support.shipped import tracked

_SETTING = re.search(r'^Repository = "(\S+)"', (REPOSITORY / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
assert _SETTING is not None
ADDRESS = _SETTING[1]
OWNER, NAME = ADDRESS.split("/")[-2:]
PLACEHOLDER = "face-mogle"
"""The owner as long as the repository has no home."""

# Where an owner stands before the repository's name. Folders (custom_nodes/ComfyUI-MoGLE) have none of the beginnings.
_MENTION = re.compile(
    r"(?P<before>github\.com/|raw\.githubusercontent\.com/|github\.repository == '|repo_name: )"
    rf"(?P<owner>[\w.-]+)/(?={re.escape(NAME)}\b)"
)


def texts() -> Iterator[tuple[Path, str]]:
    """The files in git that are text."""
    for path in tracked():
        file = REPOSITORY / path
        if file.is_file() and not file.is_symlink():
            try:
                yield file, file.read_text("utf-8")
            except UnicodeDecodeError:
                continue


def mentions() -> list[tuple[str, str]]:
    """(file, owner) of every place that names the repository."""
    return [
        (str(file.relative_to(REPOSITORY)), one["owner"]) for file, text in texts() for one in _MENTION.finditer(text)
    ]


def main() -> None:
    for file, text in texts():
        changed = _MENTION.sub(rf"\g<before>{OWNER}/", text)
        if changed != text:
            file.write_bytes(changed.encode("utf-8"))
            print(file.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
