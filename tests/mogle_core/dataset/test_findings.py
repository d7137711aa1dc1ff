"""What is wrong with single masks: named picture by picture, shown on sheets, repaired in a copy."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_sets import write_set

from mogle_core.dataset import DatasetError, find_pairs, list_pairs, read_mask
from mogle_core.dataset.check import check
from mogle_core.dataset.findings import repaired, single_pixels
from mogle_core.dataset.repair import repair
from mogle_core.dataset.report import write_report
from mogle_core.masks.decouple import index_image
from mogle_core.masks.labels import FLIPPED, PALETTE
from mogle_core.support.whole_files import write_png
from mogle_core.toy.drawer.faces import draw_face

EYES, BROWS, EARS = (4, 5), (6, 7), (8, 9)


def face(seed: int) -> np.ndarray:
    return draw_face(seed, 96).ids


def swapped(ids: np.ndarray, *pairs: tuple[int, int]) -> np.ndarray:
    table = np.arange(19, dtype=np.uint8)
    for left, right in pairs:
        table[[left, right]] = right, left
    return table[ids]


@pytest.fixture
def flawed(tmp_path: Path) -> Path:
    """Six faces, of which 1 has swapped eyes, 2 all pairs, 3 a smear, 4 single pixels, 5 lies upside down."""
    root = write_set(tmp_path / "set", 6)
    masks = [face(number) for number in range(6)]
    masks[1] = swapped(masks[1], EYES)
    masks[2] = swapped(masks[2], EYES, BROWS, EARS)
    masks[4][3, 3], masks[4][5, 9] = 15, 16
    masks[5] = np.flipud(masks[5]).copy()
    for number, ids in enumerate(masks):
        write_png(index_image(ids), root / f"masks/{number}.png")
    levels = np.array(PALETTE, np.uint8)[masks[3]]
    levels[40, 40:43:2] = 128
    Image.fromarray(levels).save(root / "masks/3.png")
    return root


def test_each_flaw_is_named_with_its_picture(flawed: Path) -> None:
    warnings = check(list_pairs(flawed)).warnings
    of = {number: [w for w in warnings if f"{number}.png:" in w] for number in range(6)}
    assert of[0] == []
    assert any("left and right eyes are swapped" in w for w in of[1])
    assert sum("are swapped" in w for w in of[2]) >= 2
    assert any("no palette colour" in w for w in of[3])
    assert any("upside down it is a face" in w for w in of[5])


def test_the_report_lists_all_findings_and_shows_each_kind(flawed: Path, tmp_path: Path) -> None:
    report = check(list_pairs(flawed))
    files = write_report(tmp_path / "report", report.findings)
    rows = list(csv.DictReader(files[0].open(encoding="utf-8")))
    assert {row["kind"] for row in rows} >= {"swapped", "off_palette", "single_pixels", "doubtful"}
    assert {row["name"] for row in rows if row["kind"] == "single_pixels"} >= {"4"}
    for file in files[1:]:
        sheet = Image.open(file)
        assert sheet.width > 300
        assert sheet.height > 200


def test_a_parser_that_disagrees_is_a_finding(flawed: Path) -> None:
    def parse(pictures: torch.Tensor) -> torch.Tensor:
        return torch.full(pictures.shape[:3], 13, dtype=torch.uint8)

    findings = check(list_pairs(flawed), parse=parse).findings
    assert [pair.name for pair, finding in findings if finding.kind == "parser"] == [str(n) for n in range(6)]

    def agree(pictures: torch.Tensor) -> torch.Tensor:
        return next(maps)

    maps = iter([read_mask(pair.mask).ids for pair in list_pairs(flawed).pairs])
    assert [f for _, f in check(list_pairs(flawed), parse=agree).findings if f.kind == "parser"] == []


def test_rare_classes_are_named(tmp_path: Path) -> None:
    root = write_set(tmp_path, 4)
    ids = face(1)
    ids[40:60, 20:40] = 16
    write_png(index_image(ids), root / "masks/2.png")
    findings = check(list_pairs(root)).findings
    assert not [finding for _, finding in findings if finding.kind == "rare_class"], "one face of four is not rare"


@pytest.mark.parametrize("pairs", [(EYES,), (BROWS,), (EARS,), (EYES, BROWS), (EYES, BROWS, EARS)])
@pytest.mark.parametrize("seed", [1, 4, 7])
def test_repair_exchanges_just_what_is_swapped(pairs: tuple[tuple[int, int], ...], seed: int) -> None:
    ids = face(seed)
    clean = torch.from_numpy(np.where(single_pixels(ids), 1, ids))
    result, done = repaired(torch.from_numpy(swapped(clean.numpy(), *pairs)))
    both = [pair for pair in pairs if all((ids == part).any() for part in pair)]
    assert sum("exchanged" in each for each in done) == len(both)
    for left, right in both:
        assert torch.equal(result == left, clean == left)
        assert torch.equal(result == right, clean == right)


def test_a_good_mask_is_not_touched() -> None:
    ids = torch.from_numpy(face(3))
    once, _ = repaired(ids)
    again, done = repaired(once)
    assert torch.equal(again, once)
    assert done == ()


def test_single_pixels_take_a_neighbours_class() -> None:
    ids = torch.ones(9, 9, dtype=torch.uint8)
    ids[4, 4], ids[0, 0] = 7, 9
    result, done = repaired(ids)
    assert result.eq(1).all()
    assert done == ("2 single pixels filled",)


def test_repair_writes_a_copy_and_leaves_the_set(flawed: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in flawed.rglob("*") if path.is_file()}
    out = tmp_path / "repaired"
    lines = list(repair(find_pairs(flawed), out, flawed))
    assert {path: path.read_bytes() for path in flawed.rglob("*") if path.is_file()} == before
    assert any("1: eyes exchanged" in line for line in lines)
    copy = find_pairs(out)
    assert [(p.name, p.captions) for p in copy] == [(p.name, p.captions) for p in find_pairs(flawed)]
    assert all(p.face.samefile(q.face) for p, q in zip(copy, find_pairs(flawed), strict=True))
    assert not [f for _, f in check(list_pairs(out)).findings if f.kind in ("swapped", "single_pixels")]
    entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text("utf-8").splitlines()]
    assert len(entries) == 6


@pytest.mark.parametrize("where", ["", "masks", "new/below", ".."])
def test_repair_never_writes_over_the_set(where: str, flawed: Path) -> None:
    with pytest.raises(DatasetError, match="part of the data set|already holds files"):
        list(repair(find_pairs(flawed), flawed / where, flawed))


def test_repair_never_writes_over_anything(flawed: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.txt").write_text("mine")
    with pytest.raises(DatasetError, match="already holds files"):
        list(repair(find_pairs(flawed), tmp_path / "full", flawed))


def test_a_swapped_set_has_the_flipped_ids() -> None:
    ids = face(2)
    assert np.array_equal(swapped(ids, EYES, BROWS, EARS), np.array(FLIPPED, np.uint8)[ids])


def test_a_class_of_one_face_in_many_is_rare(tmp_path: Path) -> None:
    root = write_set(tmp_path, 101)
    with Image.open(root / "masks/7.png") as image:
        ids = np.array(image)
    ids[40:50, 20:40] = 16
    write_png(index_image(ids), root / "masks/7.png")
    report = check(list_pairs(root))
    (pair, finding) = next((p, f) for p, f in report.findings if f.kind == "rare_class")
    assert pair.name == "7"
    assert "neck_l" in finding.sentence
    assert sum(f.kind == "rare_class" for _, f in report.findings) == 1
    assert any("1 mask with a class that under 1 % of the faces have" in fact for fact in report.facts)
