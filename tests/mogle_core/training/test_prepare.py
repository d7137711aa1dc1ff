"""`mogle prepare` and `mogle toy faces`, from the command line to the files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.small_sets import config, write_set

from mogle_core.cli import main
from mogle_core.dataset import find_pairs, read_mask, read_picture
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.training.config.reading import config_toml, load_config
from mogle_core.training.data.samples import open_samples
from mogle_core.training.data.schedule import Pick
from mogle_core.training.prepare import readable


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A configuration of three small pairs, with the toy's encoders."""
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config(write_set(tmp_path / "set", 3), loop={"steps": 4})))
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["prepare", *arguments]) == 0
    return capsys.readouterr().out


def test_a_plan_states_bytes_and_time_and_encodes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(capsys, str(run), "--plan")
    # 3 faces of 16 x 8 x 8 floats.
    assert re.search(r"faces +3 distinct, 12 KiB; 12 KiB still to be made", told)
    assert re.search(r"about \d+ minutes?\b", told)
    assert not (run.parent / "set/cache/shards").exists()


def test_it_fills_resumes_and_verifies(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is complete" in printed(capsys, str(run))
    folder = run.parent / "set/cache/shards"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert "; 0 B still to be made" in printed(capsys, str(run))
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert f"{len(before)} files of" in printed(capsys, str(run), "--verify")
    path = sorted(before)[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert main(["prepare", str(run), "--verify"]) == 1
    assert f"{path.name} is damaged" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.xdist_group("ray")  # one Ray at a time
def test_a_cluster_makes_the_same_rows(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        printed(capsys, str(run), "--set", f"cache.folder={tmp_path / 'alone'}")
        options = ("--set", f"cache.folder={tmp_path / 'spread'}", "--cluster", "--workers", "2")
        assert "is complete" in printed(capsys, str(run), *options)
    finally:
        torch.set_num_threads(before)
    assert stored(tmp_path / "spread") == stored(tmp_path / "alone")
    assert len(stored(tmp_path / "spread")) >= 3


def stored(folder: Path) -> list[dict[str, bytes]]:
    """The tensors of a cache's files, whose names are their checksums."""
    files = sorted(folder.rglob("*.safetensors"))
    loaded = [{name: tensor.numpy().tobytes() for name, tensor in load_file(file).items()} for file in files]
    return sorted(loaded, key=lambda tensors: sorted(tensors.items()))


def test_training_reads_what_it_made(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, str(run))
    samples = open_samples(load_config(run))
    batch = samples.batch([Pick(0, 0), Pick(2, 1)], torch.device("cpu"))
    assert batch.x0.shape == (2, 16, 64)
    assert batch.masks.shape == (2, 20, 16, 64)


def test_nothing_is_prepared_without_a_cache(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is nothing to keep on disk" in printed(capsys, str(run), "--set", "cache.where=none")
    assert not (run.parent / "set/cache").exists()


def test_part_masks_are_merged_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "celebamask"
    for number in range(2):
        (root / "CelebA-HQ-img").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"CelebA-HQ-img/{number}.jpg")
        parts = root / "CelebAMask-HQ-mask-anno/0"
        parts.mkdir(parents=True, exist_ok=True)
        for name, rows in (("skin", slice(10 + number, 60)), ("hair", slice(0, 20))):
            part = np.zeros((64, 64), dtype=np.uint8)
            part[rows, 8:56] = 255
            Image.fromarray(part).save(parts / f"{number:05d}_{name}.png")
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config(root)))
    told = printed(capsys, str(path), "--check")
    assert "2 label maps were merged" in told
    assert "2 pairs in layout folders" in told
    ids = read_mask(root / "mask/0.png").ids[0]
    assert [int(ids[row, 30]) for row in (15, 40, 62)] == [13, 1, 0]
    assert "merged" not in printed(capsys, str(path), "--check")


def test_toy_faces_are_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "faces"
    assert main(["toy", "faces", str(out), "--count", "3", "--size", "64", "--seed", "7"]) == 0
    pairs = find_pairs(out)
    assert [pair.name for pair in pairs] == ["00000", "00001", "00002"]
    for number, pair in enumerate(pairs):
        face = draw_face(7 + number, 64)
        assert np.array_equal(read_picture(pair.face), face.picture)
        assert pair.captions == (face.caption,)
        assert np.array_equal(read_mask(pair.mask).ids[0].numpy(), face.ids)
    (out / "mine.txt").write_text("hello")
    assert main(["toy", "faces", str(out)]) == 1
    assert "holds other files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (125 * 2**30, "125.0 GiB")]
)
def test_bytes_are_written_for_people(size: int, told: str) -> None:
    assert readable(size) == told
