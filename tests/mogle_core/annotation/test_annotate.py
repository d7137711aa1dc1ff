"""Masks from one or two parsers, how well they agree, and workflows for the masks to repair."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mogle_core.annotation.annotate import agreement, annotate, longest_first
from mogle_core.cli import main
from mogle_core.dataset.errors import DatasetError
from mogle_core.masks.decouple import decode_image
from mogle_core.masks.painting import read_painting


class Brightness:
    """Skin above a brightness level, background below."""

    module = nn.Identity()

    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, pictures: Tensor) -> Tensor:
        return (pictures[..., 0] > self.level).to(torch.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three ramps from dark to bright. The second has many levels on which the parsers disagree."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, low, high in (("a", 0, 255), ("b", 120, 140), ("c", 200, 255)):
        ramp = np.linspace(low, high, 64).astype(np.uint8)
        Image.fromarray(np.tile(ramp[None, :, None], (64, 1, 3))).save(folder / f"{name}.png")
    return folder


PARSERS = [Brightness(0.5), Brightness(0.53)]


def test_agreement_is_the_share_of_equal_pixels() -> None:
    first, second = torch.zeros(10, 10, dtype=torch.uint8), torch.zeros(10, 10, dtype=torch.uint8)
    first[:5], second[:4] = 1, 1
    found = agreement("a", first, second)
    assert found.accuracy == pytest.approx(0.9)
    assert found.mean_iou == pytest.approx((4 / 5 + 5 / 6) / 2)


def test_masks_table_and_repairs(photos: Path, tmp_path: Path) -> None:
    out, comfyui = tmp_path / "out", tmp_path / "comfyui"
    result = annotate(photos, out, PARSERS, comfyui=comfyui)
    assert [each.name for each in result.doubtful()] == ["b"]
    ids = decode_image(Image.open(out / "mask/a.png")).ids
    assert torch.equal(ids[0, 0], (torch.from_numpy(np.linspace(0, 255, 64).astype(np.uint8)) > 127).to(torch.uint8))
    rows = {row["name"]: float(row["accuracy"]) for row in csv.DictReader((out / "agreement.csv").open())}
    assert rows["c"] == 1
    assert 0.9 < rows["a"] < 1
    assert rows["b"] < 0.8
    assert [path.name for path in (out / "repair").iterdir()] == ["b.json"]
    assert (comfyui / "input/mogle_repair/b.png").read_bytes() == (photos / "b.png").read_bytes()


def test_a_repair_holds_the_mask_and_the_photo(photos: Path, tmp_path: Path) -> None:
    annotate(photos, tmp_path, PARSERS)
    workflow = json.loads((tmp_path / "repair/b.json").read_text())
    nodes = {node["type"]: node for node in workflow["nodes"]}
    painting = read_painting(nodes["MoGLEMaskPainter"]["widgets_values"][0])
    assert painting is not None
    assert torch.equal(painting, decode_image(Image.open(tmp_path / "mask/b.png")).ids[0])
    assert nodes["LoadImage"]["widgets_values"][0] == "mogle_repair/b.png"
    by_id = {node["id"]: node for node in workflow["nodes"]}
    for number, source, output, target, entry, kind in workflow["links"]:
        assert number in by_id[source]["outputs"][output]["links"]
        assert by_id[target]["inputs"][entry]["link"] == number
        assert by_id[target]["inputs"][entry]["type"] == kind


def test_one_parser_gives_no_agreement(photos: Path, tmp_path: Path) -> None:
    result = annotate(photos, tmp_path / "out", PARSERS[:1])
    assert result.count == 3
    assert result.agreements == []
    assert not (tmp_path / "out/agreement.csv").exists()
    assert not (tmp_path / "out/repair").exists()


def test_a_damaged_photo(photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").write_bytes((photos / "a.png").read_bytes()[:80])
    result = annotate(photos, tmp_path / "out", PARSERS)
    assert result.count == 2
    assert [name for name, _ in result.failed] == ["a"]
    with pytest.raises(DatasetError, match="a.png: the picture cannot be read"):
        annotate(photos, tmp_path / "strict", PARSERS, strict=True)


def test_the_command(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["annotate", str(photos), "--parser", "toy", "--second", "toy", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == f"3 masks in {tmp_path / 'out/mask'}", "a parser agrees with itself"
    assert main(["annotate", str(tmp_path / "gone"), "--parser", "toy", "--out", str(tmp_path / "out")]) == 1
    assert "There is no folder" in capsys.readouterr().err


def test_another_folder_s_photo_and_a_file_of_the_user_are_never_written_over(photos: Path, tmp_path: Path) -> None:
    comfyui = tmp_path / "comfyui"
    theirs = comfyui / "input/mogle_repair/b.png"
    theirs.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(theirs)
    before = theirs.read_bytes()
    for _ in range(2):
        annotate(photos, tmp_path / "out", PARSERS, comfyui=comfyui)
        assert theirs.read_bytes() == before
    (copy,) = (path for path in theirs.parent.iterdir() if path != theirs)
    assert copy.read_bytes() == (photos / "b.png").read_bytes()
    assert f"mogle_repair/{copy.name}" in (tmp_path / "out/repair/b.json").read_text()


@pytest.mark.slow
@pytest.mark.xdist_group("ray")  # one Ray at a time
def test_a_cluster_makes_the_same_masks(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    (photos / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for out, options in (("alone", []), ("spread", ["--cluster", "--workers", "2"])):
        arguments = [str(photos), "--parser", "toy", "--second", "toy", "--out", str(tmp_path / out), *options]
        assert main(["annotate", *arguments]) == 1
        assert "1 photo could not be read." in capsys.readouterr().err
    files = {path.relative_to(tmp_path / "alone"): path.read_bytes() for path in (tmp_path / "alone").rglob("*.*")}
    assert len(files) == 4
    for name, content in files.items():
        assert (tmp_path / "spread" / name).read_bytes() == content


def test_a_cluster_gets_the_largest_photos_first(tmp_path: Path) -> None:
    paths = {}
    for name, side in (("small", 8), ("large", 32), ("middle", 16)):
        paths[name] = tmp_path / f"{name}.png"
        Image.new("RGB", (side, side)).save(paths[name])
    paths["broken"] = tmp_path / "broken.png"
    paths["broken"].write_bytes(b"no picture")
    assert [*longest_first(paths)] == ["large", "middle", "small", "broken"]
