"""Checks that ComfyUI-MoGLE is in a ComfyUI's custom_nodes, with all of its files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ... import __version__
from .findings import Finding

_PARTS = ("nodes", "mogle_core", "web", "web/docs", "web/painter", "locales")


def pack(comfyui: Path) -> Iterator[Finding]:
    """A finding for each copy of the pack; one that says what to do if there is none."""
    folder = comfyui / "custom_nodes"
    copies = [each for each in sorted(folder.glob("*")) if _is_pack(each)] if folder.is_dir() else []
    active = [each for each in copies if not each.name.endswith(".disabled")]
    if not active:
        off = f" {copies[0].name} is disabled: enable it in ComfyUI-Manager." if copies else ""
        remedy = off or " Link or copy its folder there, and start ComfyUI again."
        yield Finding(str(folder), f"ComfyUI-MoGLE is not installed there.{remedy}", "missing")
    if len(active) > 1:
        names = ", ".join(each.name for each in active)
        yield Finding(str(folder), f"ComfyUI-MoGLE is there {len(active)} times ({names}): keep one of them.", "wrong")
    yield from map(_examined, active)


def _examined(folder: Path) -> Finding:
    version = _version(folder)
    if absent := [*_absent(folder)]:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        return Finding(
            str(folder),
            f"ComfyUI-MoGLE {version} is incomplete: {', '.join(absent[:3])}{more}. Install it again.",
            "wrong",
        )
    other = "" if version == __version__ else f" This command is {__version__}: bring both to one version."
    return Finding(str(folder), f"ComfyUI-MoGLE {version}, complete.{other}")


def _is_pack(folder: Path) -> bool:
    return folder.is_dir() and (_version(folder) != "unknown" or (folder / "mogle_core").is_dir())


def _version(folder: Path) -> str:
    try:
        text = (folder / "pyproject.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return "unknown"
    found = re.search(r'^version = "(.*)"', text, re.MULTILINE)
    return found[1] if found and 'name = "face-mogle"' in text else "unknown"


def _absent(folder: Path) -> Iterator[str]:
    """The missing or damaged parts: folders, and every module that another one imports."""
    if not (folder / "__init__.py").is_file():
        yield "__init__.py is missing"
    for part in _PARTS:
        if not any((folder / part).glob("*")):
            yield f"{part} is missing"
    for root in (folder / "nodes", folder / "mogle_core"):
        for file in sorted(root.rglob("*.py")):
            yield from _broken_imports(file, folder)


def _broken_imports(file: Path, folder: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (SyntaxError, ValueError, OSError):
        yield f"{file.relative_to(folder)} is damaged"
        return
    # Only imports at module level count: the Registry's package lacks modules that the command's functions import.
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            target = file.parents[node.level - 1].joinpath(*node.module.split("."))
            if not target.is_dir() and not target.with_suffix(".py").is_file():
                yield f"{target.relative_to(folder)}.py is missing"
