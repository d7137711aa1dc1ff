"""Checkpoints survive writing and reading in every form."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.checkpoint_files import LORA, NETWORK, lora, network, same, stored

from mogle_core.masks.labels import CLASS_NAMES
from mogle_core.model.checkpoints.files import read, read_lora, read_network, save
from mogle_core.model.checkpoints.recipe import Recipe, config_metadata, read_config
from mogle_core.model.checkpoints.tensors import read_tensors
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig, from_official, to_official
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.lora import LoRAPart, MaskLoRA, parse

OFFICIAL = torch.load(NETWORK, weights_only=True)
CONFIGS = [
    MoGLEConfig(experts, has_experts, gate)
    for experts, has_experts, gate in itertools.product(
        ("both", "global", "local"), (True, False), ("matrix", "scalar", "static", "none")
    )
]
RECIPE = Recipe(
    "training",
    "farl",
    256,
    StreamOptions(union_attention=False, independent_condition=True, add_condition_attention=True, latent_lora=True),
)


@pytest.mark.parametrize("name", ["mogle.pt", "global_local_mask_moe.pt", "mogle.safetensors", "mogle.pth"])
def test_official_network(name: str, tmp_path: Path) -> None:
    checkpoint = read(stored(tmp_path / name, OFFICIAL))
    assert checkpoint.lora is None
    assert checkpoint.network.config == MoGLEConfig()
    assert checkpoint.recipe == Recipe()
    assert checkpoint.recipe.gate_timestep == "sampling"
    expected = from_official(OFFICIAL, MoGLEConfig())
    assert all(torch.equal(tensor, expected[n]) for n, tensor in checkpoint.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in checkpoint.network.parameters())


def test_official_lora() -> None:
    checkpoint = read(LORA)
    assert checkpoint.network is None
    assert same(checkpoint.lora, parse(load_file(LORA)))
    assert not any(parameter.requires_grad for parameter in checkpoint.lora.parameters())


def test_half_precision_network_is_read_in_float32(tmp_path: Path) -> None:
    half = {name: tensor.bfloat16() for name, tensor in OFFICIAL.items()}
    found = read(stored(tmp_path / "mogle.pt", half)).network
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    assert torch.equal(found.experts.bias_in[0], half["global_expert.net.0.bias"].float())


def test_combined_file_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "face.safetensors"
    save(path, network(), lora(), RECIPE, {"mogle.step": "4000"})
    for reader in (read, read_network, read_lora):
        checkpoint = reader(path)
        assert same(checkpoint.network, network())
        assert same(checkpoint.lora, lora())
        assert checkpoint.recipe == RECIPE
        assert checkpoint.metadata["mogle.step"] == "4000"
        assert checkpoint.metadata["mogle.lora_rank"] == "4"
        assert checkpoint.metadata["mogle.lora_alpha"] == "4"
        assert checkpoint.metadata["mogle.class_names"].split(",") == list(CLASS_NAMES)
    with safe_open(path, "pt") as file:
        names = set(file.keys())
    assert {f"mogle.{name}" for name in OFFICIAL} | set(load_file(LORA)) == {n for n in names if "alpha" not in n}
    assert len([name for name in names if name.endswith(".alpha")]) == 31


@pytest.mark.parametrize("which", ["network", "lora"])
def test_network_alone_and_lora_alone(which: str, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save(path, network() if which == "network" else None, lora() if which == "lora" else None, RECIPE)
    checkpoint = read(path)
    assert (checkpoint.network is None) == (which == "lora")
    assert (checkpoint.lora is None) == (which == "network")
    assert checkpoint.recipe == RECIPE


def test_a_saved_file_describes_itself(tmp_path: Path) -> None:
    """The metadata of the source file is not copied: it may have had a network, and another recipe."""
    save(tmp_path / "both.safetensors", network(), lora(), Recipe())
    notes = read(tmp_path / "both.safetensors").metadata
    save(tmp_path / "lora.safetensors", None, lora(), RECIPE, notes)
    checkpoint = read(tmp_path / "lora.safetensors")
    assert checkpoint.network is None
    assert checkpoint.recipe == RECIPE


def test_alpha_that_is_not_the_rank_survives(tmp_path: Path) -> None:
    tensors = load_file(LORA) | {"transformer.x_embedder.alpha": torch.tensor(1.5)}
    save(tmp_path / "face.safetensors", None, parse(tensors), Recipe())
    found = read_lora(tmp_path / "face.safetensors")
    assert found.lora.parts("img_in")[0].alpha == 1.5
    assert found.metadata["mogle.lora_alpha"] == "1.5,4"
    assert torch.equal(found.lora.low_rank()["img_in"].up, parse(tensors).low_rank()["img_in"].up)


def test_alpha_is_also_in_the_adapter_metadata(tmp_path: Path) -> None:
    """diffusers reads alpha only from the file's metadata."""
    lora = MaskLoRA({"img_in": [LoRAPart(0, torch.randn(4, 64), torch.randn(64, 4), alpha=8.0)]})
    save(tmp_path / "lora.safetensors", None, lora, RECIPE)
    tensors, metadata = read_tensors(tmp_path / "lora.safetensors")
    without = {name: tensor for name, tensor in tensors.items() if not name.endswith(".alpha")}
    save_file(without, tmp_path / "stripped.safetensors", metadata)
    found = read_lora(tmp_path / "stripped.safetensors").lora
    assert found is not None
    assert found.parts("img_in")[0].alpha == 8.0
    assert json.loads(metadata["lora_adapter_metadata"])["transformer.target_modules"] == ["x_embedder"]


@pytest.mark.parametrize("adapter", ['{"transformer.lora_alpha": 8, "transformer.r": 4}', '{"lora_alpha": 8.0}'])
def test_alpha_is_read_from_the_adapters_metadata(adapter: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", load_file(LORA), {"lora_adapter_metadata": adapter})
    assert read(path).lora.parts("img_in")[0].alpha == 8


@pytest.mark.parametrize("adapter", ["{", "[1]", '{"lora_alpha": "all"}', json.dumps({"r": 4})])
def test_adapter_metadata_without_an_alpha_means_the_rank(adapter: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", load_file(LORA), {"lora_adapter_metadata": adapter})
    assert read(path).lora.parts("img_in")[0].alpha == 4


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.experts}-{c.has_experts}-{c.gate}")
def test_every_variant_there_and_back(config: MoGLEConfig, tmp_path: Path) -> None:
    mogle = MoGLE(config)
    save(tmp_path / "face.safetensors", mogle, lora(), Recipe())
    found = read_network(tmp_path / "face.safetensors")
    assert found.network.config == config
    assert same(found.network, mogle)
    save(tmp_path / "network.safetensors", mogle, None, Recipe())
    assert same(read(tmp_path / "network.safetensors").network, mogle)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.experts}-{c.has_experts}-{c.gate}")
def test_variants_are_read_from_the_keys_alone(config: MoGLEConfig) -> None:
    """As in official files: what the keys do not show is the default."""
    found = read_config(to_official(MoGLE(config).state_dict(), config), {})
    expected = dataclasses.replace(
        config,
        experts=config.experts if config.has_experts else "both",
        gate="matrix" if config.gate == "scalar" else config.gate,
    )
    assert found == expected
    if config.gate == "scalar":
        notes = {"mogle.weight_is_scale": "true"}
        assert read_config(to_official(MoGLE(config).state_dict(), config), notes).gate == "scalar"
    assert read_config({}, config_metadata(config)) == config


def test_recipe_there_and_back() -> None:
    assert Recipe.from_metadata(RECIPE.metadata()) == RECIPE
    assert Recipe.from_metadata(Recipe().metadata()) == Recipe() == Recipe.from_metadata({})
    assert Recipe.from_metadata({"mogle.train_resolution": "large"}) == Recipe()
