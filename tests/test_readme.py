"""The README: what it shows first, its badges, its figures and its tables are true."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from support import address, templates
from support.documented import blocks
from support.places import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = (REPOSITORY / "README.md").read_text("utf-8")
SPEED = (REPOSITORY / "docs/speed.md").read_text("utf-8")
FIRST_SCREEN = TEXT.partition("\n## Five minutes")[0]
PICTURES = re.findall(r"!\[[^\]]*\]\(([^):]+)\)", TEXT)
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
FIGURE = re.compile(r"\d+\.\d+")


def section(title: str, text: str = TEXT) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a page's tables."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) < 250


def test_the_first_picture_is_painting_with_the_result_following() -> None:
    file = REPOSITORY / PICTURES[0]
    assert file.stat().st_size < 2_500_000
    with Image.open(file) as film:
        assert film.width >= 900
        assert film.info["loop"] == 0
        times, frames = [], []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(film.convert("RGB"))
            times.append(film.info["duration"])
    assert 10_000 <= sum(times) <= 15_000
    # The canvas is at the left, the Live pane right of it.
    sheet, live = (75, 40, 460, 520), (480, 70, 730, 320)
    scale = frames[0].width / 960
    for box in (sheet, live):
        part = tuple(round(edge * scale) for edge in box)
        first, last = (frames[at].crop(part) for at in (0, -1))
        assert ImageChops.difference(first, last).getbbox()


def test_two_lines_set_everything_up_and_run() -> None:
    (demo,), (tests,) = (block.lines for block in list(blocks())[:2])
    for line in (demo, tests):
        assert line.startswith("python3 -m venv .venv && . .venv/bin/activate && python -m pip install ")
        assert line in FIRST_SCREEN
    assert demo.endswith('-e ".[demo]" && mogle demo')
    assert tests.endswith('-e ".[test]" && python -m pytest')


def test_the_lines_name_the_index_that_the_constraints_explain() -> None:
    explained = (REPOSITORY / "constraints.txt").read_text("utf-8")
    (index,) = set(re.findall(r"--extra-index-url (\S+)", TEXT))
    assert f"--extra-index-url {index}" in explained
    downloads = set(re.findall(r"[\d.]+ GB", section("Two lines to copy")))
    assert downloads
    assert downloads <= set(re.findall(r"[\d.]+ GB", explained))


def test_the_badges_are_true() -> None:
    shown = dict(re.findall(r"img\.shields\.io/badge/([^-]+)-((?:--|[^-\s])+)-\w+\)", TEXT))
    assert len(shown) == TEXT.count("[![")  # no other badge, so none of a service that nobody runs
    facts = {name: value.replace("--", "-").replace("_", " ") for name, value in shown.items()}
    assert facts["licence"] == PROJECT["project"]["license"]
    assert facts["Python"] == f"{PROJECT['project']['requires-python'].removeprefix('>=')} or newer"
    oldest = PROJECT["tool"]["comfy"]["requires-comfyui"].removeprefix(">=")
    newest = re.findall(r"comfyui: \[v[\d.]+, v([\d.]+)\]", (REPOSITORY / ".github/workflows/hosts.yml").read_text())
    assert facts["ComfyUI"] == f"{oldest} and {newest[0].removesuffix('.0')}"
    assert all(f"{version} (" in section("Tested with") for version in facts["ComfyUI"].split(" and "))
    assert f"eprint        = {{{facts['arXiv']}}}" in TEXT


def test_the_figures_are_those_of_the_tables() -> None:
    tables = {figure for row in rows(SPEED) for cell in row for figure in FIGURE.findall(cell)}
    quoted = set(FIGURE.findall(re.sub(r"FLUX\.1", "", section("Speed and memory"))))
    assert len(quoted) > 15
    assert quoted - tables == set()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("exact, the default", "exact"),
        ("`refresh_every` 4", "`refresh_every` 4"),
        ("`refresh_schedule` `adaptive`", "`adaptive`"),
        ("`refresh_every` 0: the mask stream runs once", "`refresh_every` 0"),
    ],
)
def test_a_row_of_speed_is_a_row_of_the_table_of_ways(ours: str, theirs: str) -> None:
    """Not the best of several runs."""
    (quoted,) = (row[1:] for row in rows(section("Speed and memory")) if row[0] == ours)
    (_, _, operations, time, score, *_) = next(row for row in rows(SPEED) if row[0] == theirs)
    assert quoted == [operations, time, score]


@pytest.mark.parametrize(
    ("card", "rows_of_the_table", "columns"),
    [
        ("8 GB", ["weights streamed, 2 GiB of them on the card"], (1, 2)),
        ("12 GB", ["fp8 weights on the card, exact"], (1, 2)),
        ("24 GB", ["fp8, `refresh_every`"], (1, 2)),
        ("32 GB", ["bf16, `refresh_every`"], (1, 2)),
    ],
)
def test_the_memory_of_a_card_is_that_of_the_estimates(
    card: str, rows_of_the_table: list[str], columns: tuple[int, int]
) -> None:
    (row,) = (row for row in rows(section("Speed and memory")) if row[0] == card)
    (estimates,) = (one for one in rows(SPEED) if one[0] in rows_of_the_table)
    figures = [estimates[column].removesuffix(" GiB") for column in columns]
    assert FIGURE.findall(row[2]) == figures


def test_what_was_not_measured_says_so() -> None:
    cards = [row for row in rows(section("Speed and memory")) if re.fullmatch(r"\d+ GB", row[0])]
    assert len(cards) == 5
    assert all(row[3] == "not measured" for row in cards)


def test_the_questions_quote_the_estimates() -> None:
    memory = {row[0]: row[1:] for row in rows(section("Memory", SPEED)) if len(row) == 3}
    plain, exact = (memory[name] for name in ("plain FLUX", "mask stream"))
    more = [f"{float(b.split()[0]) - float(a.split()[0]):.2f} GiB" for a, b in zip(plain, exact, strict=True)]
    answer = (REPOSITORY / "docs/questions.md").read_text("utf-8")
    assert f"{more[0]} more than plain FLUX at 512 pixels and {more[1]} more at 1024" in answer
    keys = re.findall(r"stores its own keys: ([\d.]+) GiB at 512 x 512 and ([\d.]+) GiB", SPEED)[0]
    assert f"{keys[0]} and {keys[1]} GiB" in answer


def test_the_workflows_for_each_use_are_templates() -> None:
    named = set(re.findall(r"`([^`]+)`", section("Which workflow for what")))
    assert named == {path.stem for path in templates.ALL}


def test_pictures_of_the_docs_are_shown_somewhere() -> None:
    pages = "".join(path.read_text("utf-8") for folder in (".", "docs") for path in (REPOSITORY / folder).glob("*.md"))
    metadata = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    for path in [*(REPOSITORY / "docs").glob("*.jpg"), *(REPOSITORY / "docs").glob("*.[swp][vne][gb]*")]:
        assert path.name in pages + metadata, path.name


def test_one_variable_sets_the_repositorys_address() -> None:
    """`Repository` in pyproject.toml; support/address.py writes it everywhere else."""
    owners = {owner for _, owner in address.mentions()}
    assert owners == {address.OWNER}
    assert PROJECT["tool"]["comfy"]["PublisherId"]
    if address.OWNER == address.PLACEHOLDER:
        assert "The address is a placeholder until the repository is published." in TEXT
        assert "A placeholder until the repository is published" in (REPOSITORY / "pyproject.toml").read_text("utf-8")


def test_the_address_is_written_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = "someone/ComfyUI-MoGLE"  # not with its beginnings: this file is in git as well
    for name, text in {
        "a.md": f"git clone https://github.com/{old}\ncustom_nodes/ComfyUI-MoGLE",
        "b.yml": f"repo_name: {old}\nif: github.repository == '{old}'",
        "c.md": "https://github.com/someone/another",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(address, "REPOSITORY", tmp_path)
    monkeypatch.setattr(address, "tracked", lambda: ["a.md", "b.yml", "c.md"])
    address.main()
    here = f"{address.OWNER}/ComfyUI-MoGLE"
    assert (tmp_path / "a.md").read_text() == f"git clone https://github.com/{here}\ncustom_nodes/ComfyUI-MoGLE"
    assert (tmp_path / "b.yml").read_text() == f"repo_name: {here}\nif: github.repository == '{here}'"
    assert (tmp_path / "c.md").read_text() == "https://github.com/someone/another"


def test_the_changelog_has_the_version_and_what_came_after() -> None:
    titles = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    versions = [title.partition(" ")[0] for title in titles]
    assert versions[0] in ("Unreleased", PROJECT["project"]["version"])
    assert PROJECT["project"]["version"] in versions
    assert all(title == "Unreleased" or re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", title) for title in titles)
