"""Pairing by name, and the errors for files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mogle_core.dataset.errors import DatasetError
from mogle_core.evaluation.captions import captions_from
from mogle_core.evaluation.pictures import batches, list_pictures, match, readable, subject


def save(folder: Path, *names: str, side: int = 8) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(np.full((side, side, 3), 99, np.uint8)).save(folder / name)


def test_pairs_match_by_name_without_extension_and_seed(tmp_path: Path) -> None:
    save(tmp_path / "ours", "10@0.png", "10@1.png", "9@0.png")
    save(tmp_path / "photos", "9.jpg", "10.jpg")
    ours, photos = list_pictures(tmp_path / "ours"), list_pictures(tmp_path / "photos")
    assert {name: path.name for name, path in match(ours, photos, "photo", strict=True).items()} == {
        "10@0": "10.jpg",
        "10@1": "10.jpg",
        "9@0": "9.jpg",
    }
    assert subject("a@b@12") == "a@b"
    assert subject("a@") == "a@"


def test_what_has_no_partner_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "ours", "1.png", "2.png")
    save(tmp_path / "masks", "2.png", "3.png")
    ours, masks = list_pictures(tmp_path / "ours"), list_pictures(tmp_path / "masks")
    assert list(match(ours, masks, "mask")) == ["2"]
    assert "1 picture without a mask (1). 1 mask without a picture (3)." in caplog.text
    with pytest.raises(DatasetError, match="--strict allows none"):
        match(ours, masks, "mask", strict=True)
    with pytest.raises(DatasetError, match="No picture has a mask of its own name"):
        match(["x"], masks, "mask")


def test_a_truncated_png(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, "a.png", "b.png", side=64)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:70])
    assert list(readable(list_pictures(tmp_path))) == ["a"]
    assert "b.png: the picture cannot be read" in caplog.text
    with pytest.raises(DatasetError, match="b.png"):
        readable(list_pictures(tmp_path), strict=True)


def test_folders_that_cannot_be_evaluated(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no folder"):
        list_pictures(tmp_path / "gone")
    with pytest.raises(DatasetError, match="has no pictures"):
        list_pictures(tmp_path)
    save(tmp_path, "a.png", "a.jpg")
    with pytest.raises(DatasetError, match="both a.jpg and a.png"):
        list_pictures(tmp_path)


def test_a_batch_ends_where_the_size_changes(tmp_path: Path) -> None:
    save(tmp_path, "a.png", "b.png", "c.png")
    save(tmp_path, "d.png", side=16)
    sizes = [tuple(some.shape) for some in batches(list(list_pictures(tmp_path).values()), 2)]
    assert sizes == [(2, 3, 8, 8), (1, 3, 8, 8), (1, 3, 16, 16)]


def test_captions_from_every_place(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text('{"1.jpg": ["first", "second"]}')
    (tmp_path / "manifest.jsonl").write_text('{"name": "2@0", "prompt": "third", "status": "made"}\n')
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/3.txt").write_text("fourth\nfifth\n")
    of = captions_from((tmp_path / "text.json", tmp_path / "manifest.jsonl", tmp_path / "texts"))
    assert [of(name) for name in ("1", "1@4", "2@0", "3", "4")] == ["first", "first", "third", "fourth", None]
    for table in ("name,text\n1,x\n", "file,prompt\n1,x\n", "name,prompt\n,x\n1,\n"):
        (tmp_path / "table.csv").write_text(table)
        with pytest.raises(DatasetError, match="table.csv: no row has a name and a prompt"):
            captions_from((tmp_path / "table.csv",))
    with pytest.raises(DatasetError, match="captions are read from"):
        captions_from((tmp_path / "texts/3.txt",))
