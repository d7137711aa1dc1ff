"""One way to list pictures: hidden files and tools' folders are nobody's data, linked folders are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.small_sets import write_set

from mogle_core.dataset import DatasetError, find_pairs, list_pairs
from mogle_core.dataset.listing import files_below, name_below
from mogle_core.evaluation.pictures import list_pictures
from mogle_core.generation.jobs import read_jobs

HIDDEN = [
    "._1.png",
    ".1.png",
    ".ipynb_checkpoints/1-checkpoint.png",
    "__MACOSX/._1.png",
    "Thumbs/1.png",
    ".thumbnails/normal/1.png",
    "a/.ipynb_checkpoints/2.png",
    "@eaDir/1.png/SYNO.png",
    "~$1.png",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ["1.png", "2.PNG", "a/3.jpg", "notes.txt", *HIDDEN]:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "set"


def test_hidden_files_are_left_out_everywhere(folder: Path) -> None:
    names = ["1", "2", "a/3"]
    assert sorted(name_below(path, folder) for path in files_below(folder, (".png", ".jpg"))) == names
    assert sorted(list_pictures(folder)) == names
    assert sorted(job.name for job in read_jobs(folder)) == names


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_linked_folders_are_followed_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/9.png").write_bytes(b"")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "a/back").symlink_to(folder)
    assert sorted(list_pictures(folder)) == ["1", "2", "a/3", "linked/9"]


def test_names_are_composed(tmp_path: Path) -> None:
    (tmp_path / "cafe\u0301.png").write_bytes(b"")
    assert [*list_pictures(tmp_path)] == ["caf\u00e9"]


def test_a_data_set_has_no_pairs_of_hidden_files(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", 3)
    plain = list_pairs(root)
    for folder in ("images", "masks"):
        for name in HIDDEN:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((root / folder / "1.png").read_bytes())
    assert find_pairs(root) == list(plain.pairs)
    assert list_pairs(root) == plain
    assert [pair.name for pair in plain.pairs] == ["0", "1", "2"]


def test_a_hidden_mask_is_no_partner(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", 3)
    (root / "masks/1.png").rename(root / "masks/._1.png")
    with pytest.raises(DatasetError, match=r"1\.png: there is no mask named 1"):
        find_pairs(root)
