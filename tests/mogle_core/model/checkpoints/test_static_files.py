"""Checkpoints whose mask stream is static, and files that only say so."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.checkpoint_files import lora, network
from torch import Tensor

from mogle_core.model.checkpoints.files import read, save
from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.checkpoints.tensors import read_tensors
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.support.errors import WeightsError

BLIND = StreamOptions(independent_condition=True)


def static_recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(Recipe("training", options=BLIND, pooled=torch.arange(5.0), stream="static"), **changes)


@pytest.mark.parametrize("gate", ["static", "none"])
def test_a_static_checkpoint_survives(gate: Any, tmp_path: Path) -> None:
    path = tmp_path / "static.safetensors"
    save(path, MoGLE(MoGLEConfig(gate=gate)), lora(), static_recipe())
    found = read(path)
    assert found.recipe == static_recipe()
    assert found.recipe.pooled is not None and torch.equal(found.recipe.pooled, torch.arange(5.0))
    assert found.metadata["mogle.stream"] == "static"


def test_a_reader_that_does_not_know_the_pooled_vector_refuses_the_file(tmp_path: Path) -> None:
    """Versions before static streams take every tensor under `mogle.` for the network's, and refuse those it lacks."""
    from mogle_core.model.checkpoints.files import _network

    save(path := tmp_path / "static.safetensors", MoGLE(MoGLEConfig(gate="static")), lora(), static_recipe())
    tensors, metadata = read_tensors(path)
    of_the_network = {name.removeprefix("mogle."): t for name, t in tensors.items() if name.startswith("mogle.")}
    with pytest.raises(WeightsError, match=r"static.pooled.* that no MoGLE network has"):
        _network(path, of_the_network, metadata)


def test_an_exact_checkpoint_says_nothing_of_it(tmp_path: Path) -> None:
    save(path := tmp_path / "exact.safetensors", network(), lora(), Recipe())
    tensors, metadata = read_tensors(path)
    assert "mogle.static.pooled" not in tensors
    assert "mogle.stream" not in metadata


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("static", {"pooled": None}),
        ("static", {"options": StreamOptions()}),
        ("static", {"options": dataclasses.replace(BLIND, add_condition_attention=True)}),
        ("static", {"options": dataclasses.replace(BLIND, latent_lora=True)}),
        ("matrix", {}),
        ("scalar", {}),
    ],
)
def test_a_file_that_only_says_it_is_static_is_refused(gate: Any, changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "changed.safetensors"
    save(path, MoGLE(MoGLEConfig(gate=gate)), lora(), static_recipe(**changes))
    with pytest.raises(WeightsError, match=r"changed.safetensors: The file's mogle.stream is static, so it needs"):
        read(path)


def test_a_kind_of_stream_from_the_future_is_refused(tmp_path: Path) -> None:
    save(path := tmp_path / "a.safetensors", network(), lora(), Recipe())
    tensors, metadata = read_tensors(path)
    save_file(tensors, path, {**metadata, "mogle.stream": "telepathic"})
    with pytest.raises(WeightsError, match="'telepathic', and this version knows exact and static: update"):
        read(path)


@pytest.mark.parametrize("pooled", [torch.ones(2, 2), torch.ones(0), torch.full((3,), torch.nan), torch.ones(3).int()])
def test_a_broken_pooled_vector_is_refused(pooled: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    save(path, MoGLE(MoGLEConfig(gate="static")), lora(), static_recipe(pooled=pooled))
    with pytest.raises(WeightsError, match=r"broken.safetensors: .*static.pooled"):
        read(path)


def test_what_a_checkpoint_was_before_does_not_follow_it(tmp_path: Path) -> None:
    """Exact weights that were trained from a static file do not say that they are static."""
    path = tmp_path / "exact.safetensors"
    save(path, network(), lora(), Recipe(), {"mogle.stream": "static"})
    assert read(path).recipe.stream == "exact"
