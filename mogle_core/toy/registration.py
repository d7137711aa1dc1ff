"""Registers the word "toy", which in a command or a configuration stands for the embedded models."""

from __future__ import annotations

from ..model.encoders.registry import NamedModels, register
from ..model.flux.params import FluxParams
from .encoders import ToyTextEncoder, ToyVAEEncoder
from .places import FILES, TOY, WEIGHTS
from .text import CONTEXT_WIDTH, POOLED_WIDTH, SLOTS

TOY_FLUX = FluxParams(
    vec_in_dim=POOLED_WIDTH,
    context_in_dim=CONTEXT_WIDTH,
    hidden_size=256,
    num_heads=2,
    depth=1,
    depth_single_blocks=2,
)
"""Heads of 128 channels, which is what the stock loader assumes."""


def register_toy() -> None:
    """Make the word "toy" stand for the embedded world in commands and configurations."""
    register(
        NamedModels(
            word=TOY,
            transformer=WEIGHTS / FILES["flux"],
            params=TOY_FLUX,
            text_tokens=SLOTS,
            open_vae=lambda path, device: ToyVAEEncoder(path or WEIGHTS / FILES["vae"], device),
            is_vae=lambda shapes: any(name.startswith("taesd_encoder.") for name in shapes),
            open_text=lambda device: ToyTextEncoder(device=device),
        )
    )
