"""What a figure was made with: checksums of weights files and folders, and versions of packages."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("face-mogle", "torch", "numpy", "Pillow", "transformers", "torch-fidelity", "lpips")


def sha256(path: Path) -> str:
    """Of a file, or of a folder's files by their names and contents."""
    if path.is_file():
        return _of_file(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()} {_of_file(file)}\n".encode())
    return digest.hexdigest()


def _of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            digest.update(part)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Of the packages on which a figure may depend, those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
