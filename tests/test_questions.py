"""The messages in docs/questions.md are sentences of the code, and the files and options that it names exist."""

from __future__ import annotations

import ast
import functools
import re

import pytest
from support.places import REPOSITORY

PAGE = (REPOSITORY / "docs/questions.md").read_text("utf-8")
TABLE = PAGE.split("| it says | what to do |")[1].split("\n\n")[0]
MESSAGES = [line.split("|")[1].strip() for line in TABLE.splitlines()[2:]]
GAP = "\u2026"


def _text(node: ast.expr) -> str | None:
    """A string of the code with the gap where a value is filled in; None if it is not a string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[\d.]*[sdfr]|\{[\w.]*\}", GAP, node.value)
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
        return "".join(str(part) for part in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return f"{_text(node.left) or GAP}{_text(node.right) or GAP}"
    return None


@functools.cache
def sentences() -> list[str]:
    found = []
    for folder in ("nodes", "mogle_core"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.expr) and (text := _text(node)):
                    found.append(" ".join(text.split()))
    return found


def test_there_are_the_ten_that_people_meet_first() -> None:
    assert len(MESSAGES) == 10


@pytest.mark.parametrize("message", MESSAGES)
def test_the_code_says_it(message: str) -> None:
    """Three dots stand for anything, and so does what the page quotes as a value."""
    for words in re.sub(r" \(a warning in the log\)$", "", message).split(", or: "):
        parts = re.sub(r"`[^`]*`", GAP, words).split(GAP)
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in parts if part.strip()))
        assert any(pattern.search(sentence) for sentence in sentences()), words


def test_nodes_that_it_names_exist() -> None:
    names = (REPOSITORY / "locales/en/nodeDefs.json").read_text("utf-8")
    for name in ("Gated Condition", "MoGLE Encode", "Parse Face"):
        assert name in PAGE
        assert f'"{name}"' in names
