"""The three namings of FLUX.1's layers: BFL's own, diffusers', and kohya's.

BFL's single files (and ComfyUI) fuse layers that diffusers keeps apart: `img_attn.qkv` holds diffusers' `to_q`, `to_k`
and `to_v` one under the other, a single block's `linear1` holds these and `proj_mlp`. Modulation chunks have the same
order in both namings; only the final layer's scale and shift change places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_DOUBLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "img_mod.lin": ("norm1.linear",),
        "txt_mod.lin": ("norm1_context.linear",),
        "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
        "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
        "img_attn.norm.query_norm": ("attn.norm_q",),
        "img_attn.norm.key_norm": ("attn.norm_k",),
        "txt_attn.norm.query_norm": ("attn.norm_added_q",),
        "txt_attn.norm.key_norm": ("attn.norm_added_k",),
        "img_attn.proj": ("attn.to_out.0",),
        "txt_attn.proj": ("attn.to_add_out",),
        "img_mlp.0": ("ff.net.0.proj",),
        "img_mlp.2": ("ff.net.2",),
        "txt_mlp.0": ("ff_context.net.0.proj",),
        "txt_mlp.2": ("ff_context.net.2",),
    }
)

_SINGLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "modulation.lin": ("norm.linear",),
        "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
        "norm.query_norm": ("attn.norm_q",),
        "norm.key_norm": ("attn.norm_k",),
        "linear2": ("proj_out",),
    }
)

_TOP: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "img_in": ("x_embedder",),
        "txt_in": ("context_embedder",),
        "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
        "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
        "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
        "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
        "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
        "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
        "final_layer.linear": ("proj_out",),
        "final_layer.adaLN_modulation.1": ("norm_out.linear",),
    }
)

# BFL's container of blocks, diffusers' container, and the layers in one block.
_BLOCKS = (
    ("double_blocks", "transformer_blocks", _DOUBLE),
    ("single_blocks", "single_transformer_blocks", _SINGLE),
)

MASK_STREAM_LAYERS = frozenset(
    {"img_in", "img_mod.lin", "img_attn.qkv", "img_attn.proj", "img_mlp.0", "img_mlp.2"}
    | {"modulation.lin", "linear1", "linear2"}
)
"""The layers that mask tokens pass, without their block. A mask LoRA can only act on these."""


def layer_of(name: str) -> str:
    """BFL's layer name without its block: `double_blocks.3.img_attn.qkv` -> `img_attn.qkv`."""
    return re.sub(r"^(double|single)_blocks\.\d+\.", "", name)


def to_diffusers(name: str) -> tuple[str, ...] | None:
    """The diffusers modules that BFL's layer `name` holds, in the order of its rows; None if unknown."""
    for bfl, diffusers, layers in _BLOCKS:
        if match := re.fullmatch(rf"{bfl}\.(\d+)\.(.+)", name):
            parts = layers.get(match[2])
            return parts and tuple(f"{diffusers}.{match[1]}.{part}" for part in parts)
    return _TOP.get(name)


def from_diffusers(module: str) -> tuple[str, int] | None:
    """BFL's layer that contains the diffusers `module`, and the index of that part; None if unknown."""
    for bfl, diffusers, layers in _BLOCKS:
        if match := re.fullmatch(rf"{diffusers}\.(\d+)\.(.+)", module):
            part = _holder(layers, match[2])
            return part and (f"{bfl}.{match[1]}.{part[0]}", part[1])
    return _holder(_TOP, module)


def from_kohya(name: str) -> str | None:
    """BFL's name of a layer that kohya's tools write with underscores (`double_blocks_3_img_attn_qkv`)."""
    for bfl, _, layers in _BLOCKS:
        if match := re.fullmatch(rf"{bfl}_(\d+)_(.+)", name):
            layer = _dotted(layers, match[2])
            return layer and f"{bfl}.{match[1]}.{layer}"
    return _dotted(_TOP, name)


def from_underscored(name: str) -> tuple[str, int] | None:
    """Like `from_diffusers`, for layers of either naming with underscores in place of dots."""
    if (ours := from_kohya(name)) is not None:
        return ours, 0
    for ours, theirs, layers in _BLOCKS:
        if match := re.fullmatch(rf"{theirs}_(\d+)_(.+)", name):
            found = _underscored_holder(layers, match[2])
            return found and (f"{ours}.{match[1]}.{found[0]}", found[1])
    return _underscored_holder(_TOP, name)


def is_bfl(name: str) -> bool:
    """Whether `name` is one of BFL's layers."""
    return to_diffusers(name) is not None


def _holder(layers: Mapping[str, tuple[str, ...]], module: str) -> tuple[str, int] | None:
    for layer, parts in layers.items():
        if module in parts:
            return layer, parts.index(module)
    return None


def _underscored_holder(layers: Mapping[str, tuple[str, ...]], module: str) -> tuple[str, int] | None:
    for layer, parts in layers.items():
        for index, part in enumerate(parts):
            if part.replace(".", "_") == module:
                return layer, index
    return None


def _dotted(layers: Mapping[str, tuple[str, ...]], name: str) -> str | None:
    return next((layer for layer in layers if layer.replace(".", "_") == name), None)
