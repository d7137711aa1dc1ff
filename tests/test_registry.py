"""What the Comfy Registry ships: the files in git, without those that .comfyignore excludes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

REPOSITORY = Path(__file__).parents[1]
WHOLE = ("nodes", "web", "locales", "example_workflows", "mogle_core")
SHIPPED = {
    *WHOLE,
    *("__init__.py", "pyproject.toml", "requirements.txt", "LICENSE", "README.md", "CHANGELOG.md", "subgraphs"),
}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    listing = subprocess.run(["git", "-C", REPOSITORY, "ls-files", "-z"], capture_output=True, check=True, text=True)
    return listing.stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def shipped(tracked: list[str]) -> set[str]:
    """As comfy-cli decides it: .comfyignore is read like a .gitignore."""
    ignored = GitIgnoreSpec.from_lines((REPOSITORY / ".comfyignore").read_text("utf-8").splitlines())
    return {path for path in tracked if not ignored.match_file(path)}


@pytest.mark.parametrize("folder", WHOLE)
def test_what_the_nodes_need_is_shipped_whole(folder: str, tracked: list[str], shipped: set[str]) -> None:
    files = {path for path in tracked if path.startswith(f"{folder}/")}
    assert files
    assert files - shipped == set()


def test_nothing_else_is_shipped(shipped: set[str]) -> None:
    """Decide for every new file at the top whether it ships: add it to SHIPPED here, or to .comfyignore."""
    assert {path.split("/")[0] for path in shipped} - SHIPPED == set()
    assert {"__init__.py", "pyproject.toml", "LICENSE", "README.md"} <= shipped
