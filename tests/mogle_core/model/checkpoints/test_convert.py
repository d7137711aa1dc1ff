"""Converting: on a full disk the source is what it was, and no file under a real name is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.full_disk import room_for
from torch import nn

from mogle_core.model.checkpoints.convert import Form, convert
from mogle_core.model.checkpoints.files import Recipe, read, save
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.lora import LoRAPart, MaskLoRA
from mogle_core.support.errors import WeightsError
from mogle_core.support.whole_files import DiskFullError


@pytest.fixture
def combined(tmp_path: Path) -> Path:
    lora = MaskLoRA({"img_in": [LoRAPart(0, torch.randn(2, 64), torch.randn(32, 2), 2.0)]})
    path = tmp_path / "face.safetensors"
    save(path, MoGLE(), lora, Recipe())
    return path


def tensors(module: nn.Module | None) -> list[torch.Tensor]:
    assert module is not None
    return [parameter.detach() for parameter in module.parameters()]


@pytest.mark.parametrize("room", [0, 1000, 100_000])
def test_in_place_on_a_full_disk_the_only_copy_stays(room: int, combined: Path) -> None:
    before = combined.read_bytes()
    with room_for(room), pytest.raises(DiskFullError):
        convert([combined], combined, "combined")
    assert combined.read_bytes() == before
    assert [path.name for path in combined.parent.iterdir()] == [combined.name]


def test_in_place_with_room_the_tensors_are_the_same(combined: Path) -> None:
    before = read(combined)
    convert([combined], combined, "combined")
    after = read(combined)
    for one, other in ((before.network, after.network), (before.lora, after.lora)):
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


@pytest.mark.parametrize("form", ["official", "safetensors"])
@pytest.mark.parametrize("room", [0, 1000, 100_000])
def test_the_official_pair_is_whole_or_absent(form: str, room: int, combined: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with room_for(room), pytest.raises(DiskFullError):
        convert([combined], out, form)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("form", ["official", "safetensors"])
def test_a_static_stream_exists_in_a_combined_file_alone(form: Form, combined: Path, tmp_path: Path) -> None:
    options = StreamOptions(independent_condition=True)
    recipe = Recipe("training", options=options, pooled=torch.arange(3.0), stream="static")
    save(static := tmp_path / "static.safetensors", MoGLE(MoGLEConfig(gate="static")), read(combined).lora, recipe)
    with pytest.raises(WeightsError, match="only a combined file can store: convert it to combined"):
        convert([static], tmp_path / "out", form)
    assert not (tmp_path / "out").exists()
    (written,) = convert([static], tmp_path / "again.safetensors", "combined")
    found = read(written).recipe
    assert found.stream == "static" and found.pooled is not None and torch.equal(found.pooled, torch.arange(3.0))


def test_the_official_form_has_no_place_for_further_conditions(tmp_path: Path) -> None:
    network = MoGLE(MoGLEConfig(extra=("sketch", "landmarks")))
    save(tmp_path / "face.safetensors", network, None, Recipe(gate_timestep="training"))
    with pytest.raises(WeightsError, match="experts for sketch, landmarks, and the official form"):
        convert([tmp_path / "face.safetensors"], tmp_path / "out", "official")
    assert not (tmp_path / "out").exists()
    convert([tmp_path / "face.safetensors"], tmp_path / "out", "safetensors")
    after = read(tmp_path / "out" / "mogle.safetensors")
    assert after.network is not None and after.network.config == network.config
    assert all(torch.equal(a, b) for a, b in zip(tensors(network), tensors(after.network), strict=True))
