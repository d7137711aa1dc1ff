"""The toy commands of the documentation follow one another as they are written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.places import REPOSITORY

from mogle_core.cli import main

SHORTER = {
    "toy faces": ("--count", "4", "--size", "32"),
    "generate": ("--size", "32", "--steps", "1"),
    "train": (
        "--set", "loop.steps=2", "--set", "loop.batch=2", "--set", "data.resolution=32", "--set", "validation.pairs=1",
        "--set", "validation.every=0",
    ),
    "prepare": ("--set", "loop.steps=2", "--set", "data.resolution=32", "--set", "validation.pairs=1"),
}  # fmt: skip
"""Options after those of the documentation, by the command."""


def toy_commands(page: str) -> Iterator[list[str]]:
    """The lines of code that use the toy world and finish in seconds, without `mogle` and without comments."""
    for line in re.findall(r"^(?: {4})?mogle (.*)$", (REPOSITORY / "docs" / page).read_text("utf-8"), re.MULTILINE):
        if re.search(r"\btoy", line) and not line.startswith("toy build") and "--cluster" not in line:
            yield shlex.split(line, comments=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["evaluation.md", "training.md"])
def test_each_finds_what_the_one_before_made(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = list(toy_commands(page))
    assert len(commands) >= 2
    for words in commands:
        kind = next((kind for kind in SHORTER if words[: len(kind.split())] == kind.split()), "")
        assert main([*words, *SHORTER.get(kind, ())]) == 0, f"{' '.join(words)}\n{capsys.readouterr().err}"


def test_the_data_set_has_one_name() -> None:
    """In commands and recipes: data/mmcelebahq for the paper's, toy_faces for the drawn one."""
    pages = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md"]
    pages += (REPOSITORY / "mogle_core/training/recipes").glob("*.toml")
    found = set()
    for page in pages:
        found |= set(re.findall(r"\bdata/mm\w+", page.read_text("utf-8")))
        found |= set(re.findall(r"data\.root=([\w/]+)", page.read_text("utf-8")))
    assert found - {"/where/it/is"} == {"data/mmcelebahq"}
