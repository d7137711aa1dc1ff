"""The help pages fit ComfyUI's side panel, which is 290 pixels wide, and their tables say what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.label_maps import drawn
from support.places import REPOSITORY

from mogle_core.masks.edit.operations import ALL, OPERATIONS, STYLES, edit
from mogle_core.masks.errors import MaskError
from mogle_core.masks.labels import CLASSES, LABEL_SPACES

PAGES = sorted((REPOSITORY / "web/docs").glob("*.md"))
PANEL = 290
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
WIDE = 6.5
"""Pixels of a character at the panel's font size of 13."""


def tables(page: Path) -> list[list[list[str]]]:
    """Every table of a page, as rows of cells without the ruler."""
    found: list[list[list[str]]] = [[]]
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])])
        elif found[-1]:
            found.append([])
    return [[rows[0], *rows[2:]] for rows in found if rows]


def table(name: str, head: str) -> dict[str, str]:
    """The two columns of the table of a page whose first column has this head."""
    (found,) = (rows for rows in tables(REPOSITORY / f"web/docs/{name}.md") if rows[0][0] == head)
    return {first: second for first, second in found[1:]}


def text(name: str) -> str:
    return (REPOSITORY / f"web/docs/{name}.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_table_is_wider_than_two_columns(page: Path) -> None:
    assert [rows[0] for rows in tables(page) if len(rows[0]) > 2] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_longest_words_of_a_table_fit_beside_each_other(page: Path) -> None:
    """A word breaks after a slash alone, so the longest ones of its columns decide how narrow a table can be."""
    for rows in tables(page):
        longest = [
            max((word for cell in column for word in re.split(r"[\s/]", cell.replace("`", ""))), key=len)
            for column in zip(*rows, strict=True)
        ]
        assert sum(map(len, longest)) * WIDE + 20 * len(longest) <= PANEL, longest


def pictures(markdown: str) -> list[Path]:
    return [REPOSITORY / "web/docs" / place for place in PICTURE.findall(markdown)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pictures_of_a_page_are_there(page: Path) -> None:
    """Each is sharp in the panel, and small in the archive."""
    for file in pictures(page.read_text("utf-8")):
        with Image.open(file) as picture:
            assert picture.width >= PANEL
        assert file.stat().st_size < 150_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_its_node_at_work(page: Path) -> None:
    """Every page has a picture above its inputs."""
    assert pictures(page.read_text("utf-8").split("\n## ")[0])


def test_a_page_shows_every_picture() -> None:
    shown = {file.resolve() for page in PAGES for file in pictures(page.read_text("utf-8"))}
    assert shown == set((REPOSITORY / "web/docs").glob("*.jpg"))


def test_the_table_of_operations_is_the_codes() -> None:
    assert list(table("MoGLEMaskEdit", "operation")) == list(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_table_says_which_operations_take_all(operation: str) -> None:
    stated = table("MoGLEMaskEdit", "operation")[operation].endswith("Takes `all`.")
    if operation in STYLES:
        assert not stated
        return
    try:
        edit(drawn(0), operation, ALL, amount=1)
    except MaskError as error:
        assert "works on one class" in str(error)
        assert not stated
    else:
        assert stated


def test_the_styles_of_accessories_are_named() -> None:
    page = text("MoGLEMaskEdit")
    for styles in STYLES.values():
        assert [style for style in styles if f"`{style}`" not in page] == []


def test_the_table_of_classes_is_the_codes() -> None:
    stated = {name: tuple(map(int, colour.split(","))) for name, colour in table("MoGLEMaskDecouple", "class").items()}
    assert stated == {f"{c.id} {c.title}": c.rgb for c in CLASSES}


def test_every_label_space_is_named() -> None:
    page = text("MoGLEMaskDecouple")
    assert [space for space in LABEL_SPACES if f"`{space}`" not in page] == []


def test_a_table_of_three_columns_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n")
    assert np.shape(tables(tmp_path / "page.md")) == (1, 2, 3)
