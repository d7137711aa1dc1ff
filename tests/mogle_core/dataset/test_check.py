"""`mogle prepare --check` reports every problem that it looks for, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_sets import label_map, write_set

from mogle_core.dataset import list_pairs
from mogle_core.dataset.check import Report, check, side_order
from mogle_core.masks.decouple import index_image
from mogle_core.masks.labels import FLIPPED, LABEL_SPACES, PALETTE
from mogle_core.support.whole_files import write_png
from mogle_core.toy.drawer.faces import draw_face


def report(root: Path, **options: object) -> Report:
    return check(list_pairs(root), **options)  # type: ignore[arg-type]


def test_a_good_set_has_neither_errors_nor_warnings(tmp_path: Path) -> None:
    found = report(write_set(tmp_path, 6))
    assert found.errors == ()
    assert found.warnings == ()
    facts = "\n".join(found.facts)
    assert "6 pairs in layout folders" in facts
    assert "13 of them different" in facts
    assert "left and right eyes are in order on 100.0% of 6 faces" in facts


def test_shares_are_of_pixels_and_of_faces(tmp_path: Path) -> None:
    found = report(write_set(tmp_path, 6))
    shares = {line.split()[0]: line for line in found.facts}
    counts = np.stack([np.bincount(label_map(number).ravel(), minlength=19) for number in range(6)])
    hair = counts[:, 13].sum() / counts.sum()
    assert f"{hair:.2%}" in shares["hair"]
    assert "100.0% of the faces" in shares["hair"]
    assert " 50.0% of the faces" in shares["cloth"]
    assert "0.00%" in shares["hat"]


def mirrored(ids: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(ids[:, ::-1])


@pytest.mark.parametrize("share", [1.0, 0.3, 0.0])
def test_a_set_mirrored_without_its_labels_is_reported(share: float, tmp_path: Path) -> None:
    root = write_set(tmp_path, 10)
    for number in range(10):
        ids = draw_face(number, 64).ids
        write_png(index_image(mirrored(ids) if number < 10 * share else ids), root / f"masks/{number}.png")
    warnings = "\n".join(report(root).warnings)
    assert ("eyes are swapped on 100.0% of the faces" in warnings) == (share == 1.0)
    assert ("eyes are swapped on 3 faces" in warnings) == (share == 0.3)


@pytest.mark.parametrize("seed", range(5))
def test_sides_of_drawn_mirrored_and_flipped_faces(seed: int) -> None:
    ids = torch.from_numpy(draw_face(seed, 96).ids)
    order = side_order(ids)
    assert -1 not in order
    assert 1 in order
    assert side_order(ids.flip(1)) == tuple(-value for value in order)
    assert side_order(torch.tensor(FLIPPED)[ids.flip(1).long()]) == order


def test_duplicates_and_leaks_are_told_apart(tmp_path: Path) -> None:
    root = write_set(tmp_path, 6)
    (root / "images/3.png").write_bytes((root / "images/1.png").read_bytes())
    (root / "images/4.png").write_bytes((root / "images/0.png").read_bytes())
    found = "\n".join(report(root, held_out=["0"]).warnings)
    assert "the same picture is in all and held out: 0, 4" in found
    assert "the same picture is there 2 times: 1, 3" in found


def test_pixels_off_the_palette_are_counted(tmp_path: Path) -> None:
    root = write_set(tmp_path, 2)
    colours = np.array(PALETTE, dtype=np.uint8)[label_map(1)]
    colours[5:7, 5:25] = (120, 120, 120)
    Image.fromarray(colours).save(root / "masks/1.png")
    (warning,) = report(root).warnings
    assert "masks/1.png: 0.98% of its pixels have no palette colour" in warning


def test_missing_and_too_long_captions_are_reported(tmp_path: Path) -> None:
    root = write_set(tmp_path, 3)
    (root / "captions.json").write_text(json.dumps({"0": ["word " * 90], "1": "Short."}))
    warnings = "\n".join(report(root).warnings)
    assert "1 pair without a caption" in warnings
    assert "1 pair whose caption has over 77 words" in warnings


@pytest.mark.parametrize("space", ["e4s", "easyportrait", "facesynthetics"])
def test_a_foreign_numbering_is_reported_picture_by_picture(space: str, tmp_path: Path) -> None:
    root = write_set(tmp_path, 3)
    numbers = np.zeros(19, np.uint8)
    for number, class_id in reversed(list(enumerate(LABEL_SPACES[space]))):
        numbers[class_id] = number
    for number in range(3):
        Image.fromarray(numbers[draw_face(number, 96).ids]).save(root / f"masks/{number}.png")
    warnings = report(root).warnings
    for number in range(3):
        assert [w for w in warnings if f"{number}.png: As " in w and "keeps only" in w]
