"""Pairs of image and mask: every layout, natural order, splits, captions, and errors for files without a partner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from support.small_sets import label_map, write_set

from mogle_core.dataset import DatasetError, Layout, find_pairs, list_pairs
from mogle_core.dataset.layouts import detect
from mogle_core.masks.decouple import index_image
from mogle_core.support.whole_files import write_png


def face(root: Path, name: str, folder: str = "face", masks: str = "mask", suffix: str = "jpg") -> None:
    for sub in (folder, masks):
        (root / sub / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (200, 100, 50)).save(root / folder / f"{name}.{suffix}")
    write_png(index_image(label_map(0, 32, 32)), root / masks / f"{name}.png")


def mm_celeba(root: Path) -> Path:
    for name in ("0", "2", "10", "27000"):
        face(root, name)
    captions = {f"{name}.jpg": [f"Caption {n} of {name}. " for n in range(10)] for name in (0, 2, 10, 27000)}
    (root / "text.json").write_text(json.dumps(captions))
    return root


def mm_ffhq(root: Path) -> Path:
    for name in ("00001", "00052"):
        face(root, name)
    (root / "text.json").write_text(json.dumps({"00001.jpg": ["One."], "00052.jpg": ["Two."]}))
    return root


def mm_fairface(root: Path) -> Path:
    for name in ("7", "52"):
        face(root, name)
    (root / "text").mkdir()
    (root / "text/7.txt").write_text("First.\n\n Second. \n")
    (root / "text/52.txt").write_text("Only.\n")
    return root


def test_mm_celeba_has_its_captions_and_its_split(tmp_path: Path) -> None:
    root = mm_celeba(tmp_path)
    assert detect(root) == "mm-celeba"
    assert [pair.name for pair in find_pairs(root, split="train")] == ["0", "2", "10"]
    (test,) = find_pairs(root, split="test")
    assert test.name == "27000"
    assert test.captions[0] == "Caption 0 of 27000."
    assert len(test.captions) == 10
    assert len(find_pairs(root)) == 4


@pytest.mark.parametrize(
    ("make", "layout", "captions"),
    [
        (mm_ffhq, "mm-ffhq-female", {"00001": ("One.",), "00052": ("Two.",)}),
        (mm_fairface, "mm-fairface", {"7": ("First.", "Second."), "52": ("Only.",)}),
    ],
)
def test_the_other_published_sets(make, layout: Layout, captions: dict[str, tuple[str, ...]], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path)
    assert detect(root) == layout
    for split in ("all", "train", "test"):
        found = find_pairs(root, layout, split=split)  # type: ignore[arg-type]
        assert {pair.name: pair.captions for pair in found} == captions


def test_plain_folders_pair_by_stem_in_sub_folders_too(tmp_path: Path) -> None:
    for name in ("a/1", "b/1"):
        face(tmp_path, name, "images", "masks", "webp")
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions/a").mkdir()
    (tmp_path / "captions/a/1.txt").write_text("Of a.")
    found = find_pairs(tmp_path)
    assert [(pair.name, pair.captions) for pair in found] == [("a/1", ("Of a.",)), ("b/1", ())]
    assert found[0].face == tmp_path / "images/a/1.webp"
    assert found[0].mask == tmp_path / "masks/a/1.png"


def test_places_can_be_named(tmp_path: Path) -> None:
    face(tmp_path, "x", "photos", "painted")
    (tmp_path / "told.json").write_text('{"x": "A face."}')
    (pair,) = find_pairs(tmp_path, "folders", Path("photos"), tmp_path / "painted", Path("told.json"))
    assert pair.captions == ("A face.",)


def test_a_manifest_names_its_files_from_where_it_is(tmp_path: Path) -> None:
    face(tmp_path, "b", "files", "files2")
    face(tmp_path, "a", "files", "files2")
    entries = [
        {"picture": "files/b.jpg", "mask": "files2/b.png", "captions": ["Of b."], "split": "test"},
        {"picture": "files/a.jpg", "mask": "files2/a.png", "caption": "Of a.", "name": "first"},
    ]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in entries) + "\n\n")
    for root in (tmp_path, path):
        assert detect(root) == "manifest"
        assert [pair.name for pair in find_pairs(root)] == ["files2/b", "first"]  # the file's order
    assert [pair.captions for pair in find_pairs(path, split="train")] == [("Of a.",)]


def test_masks_without_pictures_are_pairs_where_no_picture_is_needed(tmp_path: Path) -> None:
    root = mm_celeba(tmp_path)
    for path in (root / "face").iterdir():
        path.unlink()
    assert [pair.picture for pair in find_pairs(root, "mm-celeba", pictures=False)] == [None] * 4
    (pair, *_) = find_pairs(root, "mm-celeba", pictures=False)
    with pytest.raises(DatasetError, match="0 has no picture"):
        _ = pair.face


def test_files_without_a_partner_are_listed(tmp_path: Path) -> None:
    root = write_set(tmp_path, 4)
    (root / "masks/2.png").unlink()
    (root / "images/3.png").unlink()
    listing = list_pairs(root)
    assert [pair.name for pair in listing.pairs] == ["0", "1"]
    assert len(listing.problems) == 2
    assert "images/2.png: there is no mask named 2" in listing.problems[0]
    assert "masks/3.png: there is no picture named 3" in listing.problems[1]
