"""LoRA files as trainers write them: equivalent ones read alike, all others refused in a sentence that is true."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoint_files import stored
from support.places import DATA
from torch import Tensor

from mogle_core.model.checkpoints.convert import convert
from mogle_core.model.checkpoints.files import read, read_lora, save
from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.stream.lora import LoRAError, MaskLoRA, parse
from mogle_core.support.errors import WeightsError

FIELD = DATA / "field"
GOLDEN = DATA / "golden"
LORA = load_file(GOLDEN / "pytorch_lora_weights.safetensors")
MODULE = "transformer_blocks.0.attn.to_q"


def renamed(change) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
    """The official LoRA with `change(module, side)` for its names."""
    tensors = {}
    for name, tensor in LORA.items():
        module, side, _ = name.removeprefix("transformer.").rsplit(".", 2)
        tensors[change(module, side)] = tensor
    return tensors


def kohya(side: str) -> str:
    return {"lora_A": "lora_down", "lora_B": "lora_up"}[side]


NAMINGS = {
    "official": lambda m, s: f"transformer.{m}.{s}.weight",
    "bare": lambda m, s: f"{m}.{s}.weight",
    "OneTrainer": lambda m, s: f"lora_transformer_{m.replace('.', '_')}.{kohya(s)}.weight",
    "lora_unet_ and underscores": lambda m, s: f"lora_unet_{m.replace('.', '_')}.{kohya(s)}.weight",
    "lora_unet_ and dots": lambda m, s: f"lora_unet_{m}.{kohya(s)}.weight",
    "PEFT": lambda m, s: f"base_model.model.{m}.{s}.weight",
    "PEFT of a pipeline": lambda m, s: f"base_model.model.transformer.{m}.{s}.weight",
    "PEFT, default adapter": lambda m, s: f"base_model.model.{m}.{s}.default.weight",
    "named adapter": lambda m, s: f"transformer.{m}.{s}.faces_2.weight",
    "adapter without weight": lambda m, s: f"transformer.{m}.{s}.default",
    "compiled": lambda m, s: f"transformer._orig_mod.{m}.{s}.weight",
    "old diffusers": lambda m, s: f"transformer.{m}.lora.{kohya(s).removeprefix('lora_')}.weight",
    "diffusion_model": lambda m, s: f"diffusion_model.{m}.{s}.weight",
    "ComfyUI's": lambda m, s: f"model.diffusion_model.{m}.{s}.weight",
    "DDP": lambda m, s: f"module.transformer.{m}.{s}.weight",
}


def equal(one: MaskLoRA, other: MaskLoRA) -> bool:
    first, second = one.low_rank(), other.low_rank()
    return first.keys() == second.keys() and all(
        torch.equal(first[name].up, second[name].up) and torch.equal(first[name].down, second[name].down)
        for name in first
    )


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_trainers_naming_is_the_same_lora(naming: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", renamed(NAMINGS[naming]))
    assert equal(read_lora(path).lora, parse(LORA))


@pytest.mark.parametrize("name", ["lora.sft", "LORA.SAFETENSORS", "lora.Safetensors", "lora.SFT"])
def test_endings_in_any_form_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    shutil.copy(GOLDEN / "pytorch_lora_weights.safetensors", path)
    assert equal(read_lora(path).lora, parse(LORA))


def test_a_network_with_its_ending_in_capitals_is_read(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "global_local_mask_moe.pt", tmp_path / "MOGLE.PT")
    assert read(tmp_path / "MOGLE.PT").network is not None


def test_xlabs_names_are_read() -> None:
    pair = {"lora1.down": torch.randn(2, 6), "lora1.up": torch.randn(18, 2)}
    found = parse({f"double_blocks.0.processor.qkv_{side}.weight": tensor for side, tensor in pair.items()})
    assert torch.equal(found.low_rank()["double_blocks.0.img_attn.qkv"].down, pair["lora1.down"])
    with pytest.raises(LoRAError, match="mask tokens never pass"):
        parse({f"double_blocks.0.processor.proj_lora2.{side}.weight": torch.ones(2, 2) for side in ("down", "up")})


def test_two_adapters_in_one_file_are_refused() -> None:
    tensors = renamed(NAMINGS["PEFT, default adapter"]) | renamed(NAMINGS["named adapter"])
    with pytest.raises(LoRAError, match="several adapters.*'default', 'faces_2'"):
        parse(tensors)


METHODS = {
    "DoRA": {f"transformer.{MODULE}.dora_scale": torch.ones(4)},
    "DoRA of PEFT": {f"base_model.model.{MODULE}.lora_magnitude_vector.default.weight": torch.ones(4)},
    "LoKr": {f"lycoris_{MODULE.replace('.', '_')}.lokr_w1": torch.ones(2, 2)},
    "LoHa": {f"lora_unet_{MODULE.replace('.', '_')}.hada_w1_a": torch.ones(2, 2)},
    "OFT": {f"transformer.{MODULE}.oft_blocks": torch.ones(2, 2)},
    "LoCon": {f"lora_unet_{MODULE.replace('.', '_')}.lora_mid.weight": torch.ones(2, 2)},
}


@pytest.mark.parametrize("method", METHODS)
def test_other_methods_are_refused_by_their_name(method: str, tmp_path: Path) -> None:
    for number, more in enumerate(({}, LORA)):
        path = stored(tmp_path / f"{number}.safetensors", {**METHODS[method], **more})
        with pytest.raises(WeightsError, match=f"This is a {method.split()[0]}, not a LoRA"):
            read(path)


TEXT_ENCODERS = [
    "lora_te1_text_model_encoder_layers_0_mlp_fc1",
    "lora_te_text_model_encoder_layers_0_mlp_fc1",
    "lora_te2_encoder_block_0_layer_0_SelfAttention_q",
    "text_encoder.text_model.encoder.layers.0.mlp.fc1",
    "text_encoder_2.encoder.block.0.layer.0.SelfAttention.q",
    "base_model.model.text_model.encoder.layers.0.mlp.fc1",
    "te1.text_model.encoder.layers.0.mlp.fc1",
]


@pytest.mark.parametrize("module", TEXT_ENCODERS)
def test_a_text_encoders_part_has_its_sentence(module: str) -> None:
    """The file was not made for another base model."""
    more = {f"{module}.lora_down.weight": torch.ones(4, 8), f"{module}.lora_up.weight": torch.ones(8, 4)}
    for tensors in (LORA | more, more):
        with pytest.raises(LoRAError, match="acts on a text encoder as well .*ordinary FLUX LoRA") as raised:
            parse(tensors)
        assert "another base model" not in str(raised.value)


@pytest.mark.parametrize("key", ["lora_B.bias", "lora_up.bias", "lora_B.default.bias", "lora_A.bias"])
def test_biases_are_refused_by_their_name(key: str) -> None:
    with pytest.raises(LoRAError, match="has biases .*lora_bias"):
        parse(LORA | {f"transformer.{MODULE}.{key}": torch.ones(64)})


def combined(path: Path, recipe: Recipe) -> Path:
    save(path, read(GOLDEN / "global_local_mask_moe.pt").network, parse(LORA), recipe)
    return path


def test_what_the_official_form_loses_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = combined(tmp_path / "both.safetensors", Recipe("training", "farl", 256))
    with caplog.at_level(logging.WARNING):
        convert([source], tmp_path / "pair", "official")
    assert "no place for the gate's timestep, which is 'training'" in caplog.text
    assert "label_space = farl, resolution = 256" in caplog.text


def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    convert([combined(tmp_path / "a.safetensors", Recipe())], tmp_path / "pair", "official")
    trained = combined(tmp_path / "b.safetensors", Recipe("training", "farl"))
    convert([trained], tmp_path / "c.safetensors", "combined")
    convert([trained], tmp_path / "plain", "safetensors")
    assert caplog.text == ""
    assert read(tmp_path / "plain/mogle.safetensors").recipe.gate_timestep == "training"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_written_files_follow_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    source = combined(tmp_path / "both.safetensors", Recipe())
    before = os.umask(umask)
    try:
        written = convert([source], tmp_path / "pair", "official")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in written} == {mode}
