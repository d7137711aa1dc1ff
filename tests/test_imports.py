"""Imports point one way: from nodes to the core, and in the core from each folder to those below it.

The order of the core's folders is written here, and shown in CONTRIBUTING.md and AGENTS.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

ORDER = (
    "cli", "commands", "annotation", "evaluation", "generation", "parse", "toy", "training", "dataset", "model",
    "masks", "support",
)  # fmt: skip
"""The core from the top down: a folder imports from those after it."""

HOST = ("comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "server", "execution", "node_helpers")


@dataclass(frozen=True)
class Import:
    """One import: the file that has it, its line, the module that is imported, and whether types alone need it."""

    source: str
    line: int
    target: str
    types_only: bool

    def __str__(self) -> str:
        return f"{self.source.replace('.', '/')}.py, line {self.line}, imports {self.target}"


def modules(root: Path, *packages: str) -> dict[str, Path]:
    """Every module of the packages, by its dotted name; a package by the name of its folder."""
    files = (path for package in packages for path in sorted((root / package).rglob("*.py")))
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports(root: Path, *packages: str) -> list[Import]:
    known = modules(root, *packages)
    return [each for name, path in known.items() for each in _imports_of(name, path, known)]


def _imports_of(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    tree = ast.parse(path.read_text("utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for_types = {id(node) for block in ast.walk(tree) if _is_for_types(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        for target in _targets(node, package, known):
            yield Import(name, getattr(node, "lineno", 0), target, id(node) in for_types)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _targets(node: ast.AST, package: str, known: dict[str, Path]) -> Iterator[str]:
    """What a statement imports; `from a import b` is a.b where that is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        parts = package.split(".")
        base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (base, node.module or "") if part)
        for alias in node.names:
            yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in known else module


def floor(module: str) -> int:
    """The place of a core's module in ORDER."""
    return ORDER.index(module.split(".")[1])


def upward(found: list[Import]) -> list[Import]:
    """The core's imports against the order."""
    inner = [each for each in found if each.source.startswith("mogle_core.") and each.target.startswith("mogle_core.")]
    return [each for each in inner if floor(each.target) < floor(each.source)]


def circle(found: list[Import]) -> list[str]:
    """Modules that import each other, the first repeated at the end; empty if there are none.

    Imports for types alone do not run.
    """
    edges: dict[str, set[str]] = {}
    for each in found:
        if not each.types_only and each.source != each.target:
            edges.setdefault(each.source, set()).update(_run_by(each))
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for target in sorted(edges.get(module, ())):
            if around := walk(target, [*path, module]):
                return around
        done.add(module)
        return []

    return next((around for module in sorted(edges) if (around := walk(module, []))), [])


def _run_by(each: Import) -> Iterator[str]:
    """The module, and the packages around it, whose `__init__` runs first; not those that the importer is in."""
    parts = each.target.split(".")
    for module in (".".join(parts[: i + 1]) for i in range(len(parts))):
        if module == each.target or not f"{each.source}.".startswith(f"{module}."):
            yield module


@pytest.fixture(scope="module")
def ours() -> list[Import]:
    return imports(REPOSITORY, "mogle_core", "nodes")


def test_the_core_shows_its_folders_and_nothing_else() -> None:
    core = REPOSITORY / "mogle_core"
    files = {path.name for path in core.iterdir() if path.is_file()}
    folders = {path.name for path in core.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert files == {"cli.py", "__init__.py", "py.typed"}
    assert {"cli", *folders} == set(ORDER)


def test_no_import_runs_back_up(ours: list[Import]) -> None:
    assert not [str(each) for each in upward(ours)]


def test_no_module_imports_itself_in_a_circle(ours: list[Import]) -> None:
    assert circle(ours) == []


def test_the_core_knows_neither_nodes_nor_comfyui(ours: list[Import]) -> None:
    outer = {"nodes", *HOST}
    core = [each for each in ours if each.source.startswith("mogle_core")]
    assert not [str(each) for each in core if each.target.split(".")[0] in outer]


def test_only_the_host_folder_knows_comfyuis_insides(ours: list[Import]) -> None:
    """Themes may use the node interface and the names of folders; the rest of ComfyUI is behind `nodes/host`."""
    themes = [each for each in ours if each.source.startswith("nodes") and not each.source.startswith("nodes.host")]
    assert not [str(each) for each in themes if each.target.split(".")[0] in set(HOST) - {"comfy_api", "folder_paths"}]


def test_parse_names_the_toy_in_one_file(ours: list[Import]) -> None:
    toy = {each.source for each in ours if each.target.startswith("mogle_core.toy")}
    assert {source for source in toy if source.startswith("mogle_core.parse")} == {"mogle_core.parse.judge"}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "AGENTS.md"])
def test_the_order_is_shown_to_contributors(page: str) -> None:
    assert ", ".join(ORDER) in (REPOSITORY / page).read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    ["from ..dataset import find_pairs", "from ..dataset.pairs import Pair", "import mogle_core.dataset.pairs"],
)
def test_an_import_against_the_order_would_be_seen(tmp_path: Path, line: str) -> None:
    write(tmp_path, "mogle_core/dataset/pairs.py", "")
    write(tmp_path, "mogle_core/masks/labels.py", line)
    (wrong,) = upward(imports(tmp_path, "mogle_core"))
    assert str(wrong).startswith("mogle_core/masks/labels.py, line 1, imports mogle_core.dataset")


def test_a_circle_would_be_seen(tmp_path: Path) -> None:
    write(tmp_path, "mogle_core/masks/a.py", "from .b import x")
    write(tmp_path, "mogle_core/masks/b.py", "def f():\n    from . import c")
    write(tmp_path, "mogle_core/masks/c.py", "from typing import TYPE_CHECKING\nfrom .a import y")
    a, b, c = (f"mogle_core.masks.{name}" for name in "abc")
    assert circle(imports(tmp_path, "mogle_core")) == [a, b, c, a]


def test_a_circle_through_a_package_would_be_seen(tmp_path: Path) -> None:
    write(tmp_path, "mogle_core/model/registry.py", "from .encoders.api import x")
    write(tmp_path, "mogle_core/model/encoders/api.py", "")
    (tmp_path / "mogle_core/model/encoders/__init__.py").write_text("from ..registry import y")
    registry, encoders = "mogle_core.model.registry", "mogle_core.model.encoders"
    assert circle(imports(tmp_path, "mogle_core")) == [encoders, registry, encoders]


def test_imports_for_types_make_no_circle(tmp_path: Path) -> None:
    write(tmp_path, "mogle_core/masks/a.py", "from .b import x")
    write(
        tmp_path, "mogle_core/masks/b.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import y"
    )
    assert circle(imports(tmp_path, "mogle_core")) == []


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    for folder in (path.parent, path.parent.parent):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    path.write_text(text, "utf-8")
