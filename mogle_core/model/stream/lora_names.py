"""Parses tensor names in LoRA files: the module, the side of the pair, and the method.

Trainers write diffusers' names (with dots or underscores), BFL's or kohya's, after various prefixes:
OneTrainer's `lora_transformer_`, kohya's `lora_unet_`, PEFT's `base_model.model.`, torch.compile's `_orig_mod.`.
PEFT puts the adapter's name between `lora_A` and `weight`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .layer_names import from_diffusers, from_underscored, is_bfl

PREFIXES = (
    "base_model.model.", "base_model.", "module.", "_orig_mod.", "model.", "diffusion_model.", "transformer.",
    "unet.", "lora_unet_", "lora_transformer_",
)  # fmt: skip

_PAIR = re.compile(
    r"(.+?)\.(lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|lora_linear_layer\.down|lora_linear_layer\.up)"
    r"(?:\.(?!weight$)([^.]+))?(?:\.weight)?"
)
_XLABS = re.compile(r"(.*double_blocks\.\d+)\.processor\.(qkv|proj)_lora([12])\.(down|up)\.weight")
_DOWN = ("lora_A", "lora_down", "lora.down", "lora_linear_layer.down")

_METHODS = (
    ("DoRA", re.compile(r"\.(dora_scale|lora_magnitude_vector)\b")),
    ("LoKr", re.compile(r"\.lokr_")),
    ("LoHa", re.compile(r"\.hada_")),
    ("OFT", re.compile(r"\.(oft_|boft_)")),
    ("VeRA", re.compile(r"\.?vera_(lambda|A|B)")),
    ("IA3", re.compile(r"\.(ia3_l|on_input)\b")),
    ("LoCon", re.compile(r"\.lora_mid\b")),
)


_BIAS = re.compile(r"\.lora[_.](A|B|down|up)(\.[^.]+)?\.bias")

_TEXT_ENCODER = re.compile(
    r"(base_model\.model\.|base_model\.|module\.|model\.)*(lora_te\d?_|te\d?[._]|text_encoders?[._\d]|text_model[._]"
    r"|lora_(clip|t5)|cond_stage_model\.|clip_[lg]|t5xxl)"
)


class Key(NamedTuple):
    """A tensor's place: side is "down", "up" or "alpha"; adapter is PEFT's name, "default" if there is none."""

    module: str
    side: str
    adapter: str


def read_key(key: str) -> Key | None:
    """The place of a tensor; None if its name is not a LoRA's."""
    if match := _XLABS.fullmatch(key):
        stream = "img" if match[3] == "1" else "txt"
        return Key(f"{match[1]}.{stream}_attn.{match[2]}", match[4], "default")
    if match := _PAIR.fullmatch(key):
        return Key(match[1], "down" if match[2] in _DOWN else "up", match[3] or "default")
    if key.endswith(".alpha") and len(key) > len(".alpha"):
        return Key(key.removesuffix(".alpha"), "alpha", "default")
    return None


def method_of(key: str) -> str | None:
    """The method to which a tensor belongs, if it is not plain LoRA."""
    return next((method for method, pattern in _METHODS if pattern.search(key)), None)


def is_bias(key: str) -> bool:
    """Whether a tensor is the bias of one of the pair's two matrices."""
    return _BIAS.search(key) is not None


def is_text_encoders(module: str) -> bool:
    """Whether a module belongs to a text encoder, in the naming of kohya, OneTrainer, diffusers or PEFT."""
    return _TEXT_ENCODER.match(module) is not None


def is_lora_key(key: str) -> bool:
    """Whether a tensor is part of a LoRA, or of a method like it."""
    return ".lora_" in key or key.startswith("lora_") or read_key(key) is not None or method_of(key) is not None


def layer_and_part(module: str) -> tuple[str, int] | None:
    """BFL's layer and the part of its rows for a file's module; None if FLUX.1 does not have it."""
    bare = module
    while True:
        target = (bare, 0) if is_bfl(bare) else from_diffusers(bare) or from_underscored(bare)
        if target is not None:
            return target
        prefix = next((prefix for prefix in PREFIXES if bare.startswith(prefix)), None)
        if prefix is None:
            return None
        bare = bare.removeprefix(prefix)


def shown(name: str, limit: int = 160) -> str:
    """A name for a message, shortened if it is long."""
    return repr(name if len(name) <= limit else f"{name[:limit]}...")
