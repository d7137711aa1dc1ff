"""`mogle prepare --check` and `--repair` from the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.small_sets import config, write_set

from mogle_core.cli import main
from mogle_core.dataset import find_pairs, read_mask
from mogle_core.masks.decouple import index_image
from mogle_core.masks.labels import FLIPPED
from mogle_core.support.whole_files import write_png
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.training.config.reading import config_toml


@pytest.fixture
def swapped(tmp_path: Path) -> Path:
    """A run's configuration; of its four faces, 1 has left and right swapped."""
    root = write_set(tmp_path / "set", 4)
    for number in range(4):
        ids = draw_face(number, 64).ids
        write_png(index_image(np.array(FLIPPED, np.uint8)[ids] if number == 1 else ids), root / f"masks/{number}.png")
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config(root)))
    return path


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_report_is_written_where_it_was_asked_for(
    swapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path / "set")
    assert main(["prepare", str(swapped), "--check", "--report", str(tmp_path / "report")]) == 0
    said = capsys.readouterr().out
    assert "1.png: left and right eyes are swapped" in said
    assert f"findings are in {tmp_path / 'report'}" in said
    (table,) = (tmp_path / "report").glob("*.csv")
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert {row["name"] for row in rows if row["kind"] == "swapped"} == {"1"}
    assert [Image.open(sheet).width > 100 for sheet in (tmp_path / "report").glob("*swapped*.png")]
    assert contents(tmp_path / "set") == before


@pytest.mark.parametrize("more", [["--report", "there"], ["--parser", "toy"], ["--plan", "--report", "there"]])
def test_a_report_without_a_check_is_refused(
    more: list[str], swapped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(swapped), *more]) == 1
    assert "--report and --parser belong to --check" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False])
def test_a_repaired_copy_lies_beside_the_set(
    named: bool, swapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path / "set")
    out = tmp_path / ("copy" if named else "set_repaired")
    assert main(["prepare", str(swapped), "--repair", *([str(out)] if named else [])]) == 0
    assert "1: eyes exchanged" in capsys.readouterr().out
    assert contents(tmp_path / "set") == before
    assert [pair.name for pair in find_pairs(out)] == ["0", "1", "2", "3"]
    expected = draw_face(1, 64).ids
    found = read_mask(find_pairs(out)[1].mask).ids[0].numpy()
    assert all(np.array_equal(found == eye, expected == eye) for eye in (4, 5))


def test_a_copy_never_takes_the_sets_place(swapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(tmp_path / "set")
    assert main(["prepare", str(swapped), "--repair", str(tmp_path / "set")]) == 1
    assert "part of the data set" in capsys.readouterr().err
    assert contents(tmp_path / "set") == before


@pytest.mark.parametrize("action", ["--repair", "--report"])
def test_the_report_and_the_repair_are_not_for_one_call(
    action: str, swapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report that was asked for and not written would be missed."""
    arguments = ["--repair", str(tmp_path / "copy"), "--report", str(tmp_path / "report")]
    if action == "--report":
        arguments = [*arguments[2:], *arguments[:2]]
    assert main(["prepare", str(swapped), *arguments]) == 1
    assert "--report and --parser belong to --check" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()
