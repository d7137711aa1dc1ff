"""FLUX.1's layers under their three names, for a whole FLUX.1-dev with 19 double and 38 single blocks."""

from __future__ import annotations

import pytest

from mogle_core.model.stream.layer_names import (
    MASK_STREAM_LAYERS,
    from_diffusers,
    from_kohya,
    is_bfl,
    layer_of,
    to_diffusers,
)

DOUBLE = [
    *(f"{side}_{layer}" for side in ("img", "txt") for layer in ("mod.lin", "attn.qkv", "attn.proj", "mlp.0", "mlp.2")),
    *(f"{side}_attn.norm.{kind}_norm" for side in ("img", "txt") for kind in ("query", "key")),
]
SINGLE = ["modulation.lin", "linear1", "linear2", "norm.query_norm", "norm.key_norm"]
TOP = [
    "img_in",
    "txt_in",
    *(f"{name}.{layer}" for name in ("time_in", "guidance_in", "vector_in") for layer in ("in_layer", "out_layer")),
    "final_layer.linear",
    "final_layer.adaLN_modulation.1",
]
LAYERS = [
    *TOP,
    *(f"double_blocks.{i}.{layer}" for i in range(19) for layer in DOUBLE),
    *(f"single_blocks.{i}.{layer}" for i in range(38) for layer in SINGLE),
]
STRANGERS = [
    "",
    "img_in.weight",
    "double_blocks.0",
    "double_blocks.x.img_attn.qkv",
    "single_blocks.0.img_attn.qkv",
    "transformer_blocks.0.attn.to_x",
    "down_blocks.0.attentions.0.proj_in",
]


def test_layers_map_to_diffusers_modules_and_back() -> None:
    modules = {}
    for layer in LAYERS:
        for part, module in enumerate(to_diffusers(layer)):
            assert from_diffusers(module) == (layer, part)
            modules[module] = layer
    # No two layers share a module: 10 at the top, 18 in a double block, 8 in a single one.
    assert len(modules) == 10 + 19 * 18 + 38 * 8


def test_fused_rows_are_in_the_files_order() -> None:
    assert to_diffusers("double_blocks.7.img_attn.qkv") == tuple(
        f"transformer_blocks.7.attn.to_{part}" for part in "qkv"
    )
    attention = [f"single_transformer_blocks.37.attn.to_{part}" for part in "qkv"]
    assert to_diffusers("single_blocks.37.linear1") == (*attention, "single_transformer_blocks.37.proj_mlp")
    # The same short name, `proj_out`, is a single block's and the model's own last layer.
    assert from_diffusers("proj_out") == ("final_layer.linear", 0)
    assert from_diffusers("single_transformer_blocks.3.proj_out") == ("single_blocks.3.linear2", 0)


def test_kohya_underscores_lead_to_the_same_layer() -> None:
    assert len({layer.replace(".", "_") for layer in LAYERS}) == len(LAYERS)
    for layer in LAYERS:
        assert from_kohya(layer.replace(".", "_")) == layer


@pytest.mark.parametrize("stranger", STRANGERS)
def test_unknown_names_are_unknown(stranger: str) -> None:
    assert to_diffusers(stranger) is None
    assert from_diffusers(stranger) is None
    assert from_kohya(stranger.replace(".", "_")) is None
    assert not is_bfl(stranger)


def test_mask_tokens_pass_the_image_layers_and_no_other() -> None:
    assert all(is_bfl(layer) for layer in LAYERS)
    passed = {layer_of(layer) for layer in LAYERS} & MASK_STREAM_LAYERS
    assert passed == MASK_STREAM_LAYERS  # none of them is misspelled
    assert not any("txt" in layer or "norm" in layer or "final" in layer for layer in passed)
    assert layer_of("single_blocks.12.linear1") == "linear1"
    assert layer_of("img_in") == "img_in"
    assert from_diffusers("transformer_blocks.0.ff.net.0.proj") == ("double_blocks.0.img_mlp.0", 0)
