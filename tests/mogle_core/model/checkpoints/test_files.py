"""Checkpoints survive writing and reading in every form, and each way in which a file can be wrong has its message."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.places import DATA
from support.small_weights import flux_weights, taesd_weights
from torch import Tensor

from mogle_core.masks.labels import CLASS_NAMES
from mogle_core.model.checkpoints.files import read, read_lora, read_network, save
from mogle_core.model.checkpoints.recipe import Recipe, config_metadata, read_config
from mogle_core.model.checkpoints.tensors import read_tensors
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig, from_official, to_official
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.lora import LoRAPart, MaskLoRA, parse
from mogle_core.support.errors import WeightsError

GOLDEN = DATA / "golden"
NETWORK, LORA = GOLDEN / "global_local_mask_moe.pt", GOLDEN / "pytorch_lora_weights.safetensors"
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


def network() -> MoGLE:
    return read_network(NETWORK).network


def lora() -> MaskLoRA:
    return read_lora(LORA).lora


def same(ours: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = ours.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stored(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, metadata)
    else:
        torch.save(tensors, path)
    return path


def refused(path: Path, sentence: str, reader: object = read) -> None:
    with pytest.raises(WeightsError, match=sentence) as caught:
        reader(path)
    assert path.name in str(caught.value)


# --- What is right.


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


# --- What is wrong.


def test_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / "mogle.pt", f"There is no file mogle.pt in {tmp_path}")
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "folder.pt", "There is no file")


@pytest.mark.parametrize("name", ["mogle.pt", "lora.safetensors"])
def test_empty(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    refused(tmp_path / name, "is empty: the download or copy did not finish")


@pytest.mark.parametrize("length", [4, 50, 1000, 0.1, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("form", ["zip", "before torch 1.6", "safetensors"])
def test_truncated(form: str, length: float, tmp_path: Path) -> None:
    path = tmp_path / ("mogle.safetensors" if form == "safetensors" else "mogle.pt")
    if form == "safetensors":
        stored(path, OFFICIAL)
    else:
        torch.save(OFFICIAL, path, _use_new_zipfile_serialization=form == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: length if isinstance(length, int) else int(length * len(content))])
    refused(path, "truncated|no weights at all")


def test_every_short_pickle_is_refused(tmp_path: Path) -> None:
    """An old-style file that is cut in its first bytes, where the unpickler itself fails."""
    buffer = io.BytesIO()
    torch.save(OFFICIAL, buffer, _use_new_zipfile_serialization=False)
    for length in range(1, 600, 7):
        (tmp_path / "mogle.pt").write_bytes(buffer.getvalue()[:length])
        refused(tmp_path / "mogle.pt", "truncated|no weights at all")


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x89PNG\r\n\x1a\n", b"version https://git-lfs"])
@pytest.mark.parametrize("name", ["mogle.pt", "lora.safetensors"])
def test_something_else_entirely(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content * 20)
    refused(tmp_path / name, "truncated or no|no weights at all")


def test_wrong_ending(tmp_path: Path) -> None:
    refused(Path(shutil.copy(NETWORK, tmp_path / "mogle.safetensors")), "not a .safetensors file")
    refused(Path(shutil.copy(LORA, tmp_path / "lora.pt")), "no PyTorch file|no weights at all")


class Touch:
    """A pickle that creates a file if it is opened with code execution."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o700)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_code_in_a_pickle_is_not_run(new: bool, tmp_path: Path) -> None:
    trace = tmp_path / "was_run"
    content = OFFICIAL | {"gating.extra": Touch(trace)}
    torch.save(content, tmp_path / "mogle.pt", _use_new_zipfile_serialization=new)
    refused(tmp_path / "mogle.pt", "more than weights.*could run code")
    assert not trace.exists()
    torch.load(tmp_path / "mogle.pt", weights_only=False)
    assert trace.exists()  # it would have


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"state_dict": OFFICIAL}, {"step": 3}, torch.zeros(2)])
def test_no_plain_state_dict(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "mogle.pt")
    refused(tmp_path / "mogle.pt", f"holds a {type(content).__name__} that is not a plain state dict")


def test_lora_for_network_and_network_for_lora() -> None:
    refused(LORA, "is the LoRA, not the network: give it to LoRA Apply.*mogle.pt", read_network)
    refused(NETWORK, "is the network, not the LoRA: give it to Load MoGLE.*pytorch_lora_weights", read_lora)


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    lost = ["local_experts.3.net.0.bias", "gating.noise_proj.bias"]
    rest = {name: tensor for name, tensor in OFFICIAL.items() if name not in lost}
    refused(stored(tmp_path / "mogle.pt", rest), r"lacks 2 tensors \(.*gating\.noise_proj\.bias.*cut or renamed")
    for i in range(5):
        rest.pop(f"local_experts.{i}.net.2.weight")
    refused(stored(tmp_path / "mogle.pt", rest), r"lacks 7 tensors \(.*, \.\.\.\)")


def test_left_over_tensors_are_named(tmp_path: Path) -> None:
    more = OFFICIAL | {"local_experts.19.net.0.bias": torch.zeros(32)}
    refused(stored(tmp_path / "mogle.pt", more), r"has 1 tensors \(local_experts\.19\.net\.0\.bias\) that no MoGLE")


@pytest.mark.parametrize("lost", ["experts", "gating"])
def test_tensors_that_a_combined_file_declares_and_lacks_are_missing(lost: str, tmp_path: Path) -> None:
    """An official file without all of its experts would be another variant. Ours says which variant it is."""
    save(tmp_path / "face.safetensors", network(), None, Recipe())
    with safe_open(tmp_path / "face.safetensors", "pt") as file:
        notes, names = file.metadata(), [name for name in file.keys() if lost not in name]  # noqa: SIM118
        rest = {name: file.get_tensor(name) for name in names if not (lost == "experts" and "global" in name)}
    refused(stored(tmp_path / "cut.safetensors", rest, notes), r"lacks \d+ tensors")


def test_wrong_shapes(tmp_path: Path) -> None:
    wide = OFFICIAL | {"gating.noise_proj.weight": torch.zeros(64, 16)}
    refused(stored(tmp_path / "mogle.pt", wide), r"'gating\.noise_proj\.weight' is \(64, 16\), expected \(64, 64\)")
    few = OFFICIAL | {"gating.gate.2.weight": torch.zeros(12, 64)}
    refused(stored(tmp_path / "mogle.pt", few), r"\(12, 64\), expected \(20, 64\)\. .*20 masks")


def test_lora_errors_name_the_file(tmp_path: Path) -> None:
    tensors = load_file(LORA)
    tensors.pop("transformer.x_embedder.lora_A.weight")
    refused(stored(tmp_path / "lora.safetensors", tensors), r"lora\.safetensors: .*x_embedder' is incomplete")
    other = {"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(4, 8)}
    other["lora_unet_down_blocks_0.lora_up.weight"] = torch.zeros(8, 4)
    refused(stored(tmp_path / "sdxl.safetensors", other), "made for another base model", read_lora)


def test_a_mixture_that_is_not_ours(tmp_path: Path) -> None:
    mixed = load_file(LORA) | {"something.weight": torch.zeros(2)}
    refused(stored(tmp_path / "lora.safetensors", mixed), r"mixes LoRA tensors .*'something\.weight'")


def test_other_models_files(tmp_path: Path) -> None:
    flux = flux_weights()
    refused(stored(tmp_path / "flux.safetensors", flux), "FLUX transformer .*models/diffusion_models")
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in flux.items()}
    refused(stored(tmp_path / "checkpoint.safetensors", prefixed), "FLUX transformer")
    vae = {"encoder.conv_in.weight": torch.zeros(2), "decoder.conv_in.weight": torch.zeros(2)}
    refused(stored(tmp_path / "ae.safetensors", vae), "a VAE .*models/vae")
    refused(stored(tmp_path / "taef1.safetensors", taesd_weights()), "a VAE .*models/vae")
    refused(stored(tmp_path / "clip.safetensors", {"text_model.x": torch.zeros(2)}), "something else: .*'text_model.x'")
    refused(stored(tmp_path / "nothing.safetensors", {}), "something else: .*'missing'")


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


# --- A static stream.

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


def with_conditions(*names: str) -> MoGLE:
    return MoGLE(MoGLEConfig(extra=names))


@pytest.mark.parametrize("names", [("sketch",), ("sketch", "landmarks"), ("landmarks", "sketch")])
def test_further_conditions_there_and_back_in_their_order(names: tuple[str, ...], tmp_path: Path) -> None:
    made = with_conditions(*names)
    save(tmp_path / "x.safetensors", made, None, Recipe())
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata()["mogle.extra"] == ",".join(names)
        assert {f"mogle.extra_experts.{name}.net.2.bias" for name in names} < set(file.keys())
    back = read_network(tmp_path / "x.safetensors").network
    assert back.config == made.config and same(made, back)


def test_without_further_conditions_nothing_is_said_of_them(tmp_path: Path) -> None:
    """Also where the file was made from one that has some."""
    save(tmp_path / "x.safetensors", MoGLE(), None, Recipe(), {"mogle.extra": "sketch"})
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert not [name for name in (*file.metadata(), *file.keys()) if "extra" in name]


def test_the_order_of_further_conditions_must_be_stated(tmp_path: Path) -> None:
    made = with_conditions("sketch")
    tensors = {f"mogle.{name}": tensor for name, tensor in to_official(made.state_dict(), made.config).items()}
    refused(stored(tmp_path / "x.safetensors", tensors), "has experts for sketch, and no note 'mogle.extra'")
    notes = {**config_metadata(made.config), "mogle.extra": "sketch,landmarks"}
    refused(stored(tmp_path / "y.safetensors", tensors, notes), "extra_experts.landmarks.net.0.weight")
    notes["mogle.extra"] = "../x"
    refused(stored(tmp_path / "z.safetensors", tensors, notes), "cannot be the name of a further condition")
