"""The archive that the Comfy Registry ships: which files, and what the nodes import of the core."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def tracked() -> list[str]:
    listing = subprocess.run(["git", "-C", REPOSITORY, "ls-files", "-z"], capture_output=True, check=True, text=True)
    return listing.stdout.split("\0")[:-1]


def files() -> set[str]:
    """As comfy-cli decides it: .comfyignore is read like a .gitignore."""
    from pathspec import GitIgnoreSpec  # not at the top: fresh_environment.py runs where nothing is installed

    ignored = GitIgnoreSpec.from_lines((REPOSITORY / ".comfyignore").read_text("utf-8").splitlines())
    return {path for path in tracked() if not ignored.match_file(path)}


def unpack(folder: Path) -> Path:
    """The archive's files in a folder, as an installed version has them."""
    for path in files():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / path, target)
    return folder


def imported() -> set[str]:
    """Every file of the repository that importing the nodes imports. What a function of the core imports when it is
    called is not counted: so the core writes files."""
    found: set[str] = set()
    todo = ["__init__.py", *(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "nodes").rglob("*.py"))]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [name for name in _imports(path) if (REPOSITORY / name).is_file()]
            todo += [f"{parent}/__init__.py" for parent in Path(path).parents if str(parent) not in (".", "nodes")]
    return {path for path in found if (REPOSITORY / path).is_file()}


def _imports(path: str) -> Iterator[str]:
    tree = ast.parse((REPOSITORY / path).read_text("utf-8"))
    for node in _statements(tree.body, inside=not path.startswith("mogle_core/")):
        package = path.split("/")[:-1]
        base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
        for parts in (base, *([*base, name.name] for name in node.names)):
            yield "/".join(parts) + ".py"
            yield "/".join([*parts, "__init__.py"])


def _statements(body: list[ast.stmt], inside: bool) -> Iterator[ast.ImportFrom]:
    """The relative imports that run with the module; those of functions only if asked for."""
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.level:
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _statements(node.orelse, inside)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or inside:
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, part, None) or [], inside)
