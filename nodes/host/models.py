"""Which models can take the mask stream, and which LoRA fits them."""

from __future__ import annotations

from typing import Any

import comfy.model_base

from ...mogle_core.model.stream.lora import MaskLoRA
from .versions import ModelPatcher


def refuse_other_models(model: ModelPatcher, node: str) -> None:
    """Raises ValueError for a model that is not FLUX.1, with what it is."""
    found = type(model.model).__name__
    transformer = getattr(model.model, "diffusion_model", None)
    advice = f"{node} works with FLUX.1 (flux1-dev in Load Diffusion Model, or its GGUF loader)"
    if "Comfy" in type(transformer).__name__ and not hasattr(transformer, "double_blocks"):
        raise ValueError(
            f"This model is run by another engine ({type(transformer).__name__}, such as nunchaku's), whose "
            f"blocks cannot take the mask stream. {advice}."
        )
    if not isinstance(model.model, comfy.model_base.Flux) or not hasattr(transformer, "double_blocks"):
        raise ValueError(f"This model is {found}, not FLUX.1. {advice}.")
    params = transformer.params
    if getattr(params, "global_modulation", False) or not hasattr(transformer.double_blocks[0], "img_mod"):
        raise ValueError(f"This model is of FLUX.2's family ({found}): one modulation serves all its blocks. {advice}.")
    channels = getattr(transformer.img_in, "in_features", 64)
    if channels != 64:
        raise ValueError(
            f"This FLUX.1 takes {channels // 4} latent channels (a Fill, Canny or Depth model), and mask tokens "
            f"have 16. {advice}."
        )


def check_lora(transformer: Any, lora: MaskLoRA) -> None:
    """Raises ValueError for a LoRA that was made for a transformer of other sizes."""
    width = transformer.params.hidden_size
    if lora.width != width:
        raise ValueError(
            f"The LoRA was made for a model of width {lora.width}; this one has {width}. Choose another file in "
            "LoRA Apply, or connect the model that it was trained on."
        )
    present = dict(transformer.named_modules())
    if missing := [name for name in lora.rows if name not in present]:
        raise ValueError(
            f"The LoRA acts on {missing[0]} and this model has no such layer ({len(transformer.double_blocks)} "
            f"double and {len(transformer.single_blocks)} single blocks): it was made for another FLUX."
        )
