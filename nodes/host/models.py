"""Which models can take the mask stream, and which LoRA fits them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_base
import torch
from comfy.ldm.flux.model import Flux
from torch import Tensor

from ...mogle_core.model.stream.lora import MaskLoRA
from .functions import describe, innermost
from .versions import ModelPatcher


def refuse_other_models(model: ModelPatcher, node: str) -> None:
    """Raises ValueError for a model that is not FLUX.1, with what it is."""
    kind = type(model.model).__name__
    transformer = unwrapped(getattr(model.model, "diffusion_model", None))
    advice = f"{node} works with FLUX.1 (flux1-dev in Load Diffusion Model, or its GGUF loader)"
    if "Comfy" in type(transformer).__name__ and not hasattr(transformer, "double_blocks"):
        raise ValueError(
            f"This model is run by another engine ({type(transformer).__name__}, such as nunchaku's), whose "
            f"blocks cannot take the mask stream. {advice}."
        )
    if not isinstance(model.model, comfy.model_base.Flux) or not hasattr(transformer, "double_blocks"):
        raise ValueError(f"This model is {kind}, not FLUX.1. {advice}.")
    transformer = plain_transformer(model)
    params = transformer.params
    if getattr(params, "global_modulation", False) or not hasattr(transformer.double_blocks[0], "img_mod"):
        raise ValueError(f"This model is of FLUX.2's family ({kind}): all its blocks share one modulation. {advice}.")
    channels = getattr(transformer.img_in, "in_features", 64)
    if channels != 64:
        raise ValueError(
            f"This FLUX.1 takes {channels // 4} latent channels (a Fill, Canny or Depth model), and mask tokens "
            f"have 16. {advice}."
        )


def plain_transformer(model: ModelPatcher) -> Any:
    """The model's transformer as it was loaded: not as the last run's patches left it, nor compiled."""
    current = getattr(model.model, "diffusion_model", None)
    return unwrapped(getattr(model, "object_patches_backup", {}).get("diffusion_model", current))


def layer_names(model: ModelPatcher) -> set[str]:
    """All layers of the transformer, whether or not it, or a block, is compiled or replaced at the moment."""
    prefix = "diffusion_model."
    replaced = getattr(model, "object_patches_backup", {})
    parts = {"": plain_transformer(model)}
    parts |= {f"{name[len(prefix) :]}.": part for name, part in replaced.items() if name.startswith(prefix)}
    modules = [(start, part) for start, part in parts.items() if isinstance(part, torch.nn.Module)]
    names = {start + name for start, part in modules for name, _ in part.named_modules()}
    return {name.replace("_orig_mod.", "") for name in names}


def unwrapped(module: Any) -> Any:
    """The module inside of torch.compile's wrapper."""
    return getattr(module, "_orig_mod", module)


def in_place_of_flux(transformer: Any, options: Mapping[str, Any]) -> str:
    """What swallows the mask, in words: another class, another forward, or another extension's replaced blocks."""
    transformer = unwrapped(transformer)
    if type(transformer) is not Flux:
        return describe(type(transformer))
    for name in ("forward", "_forward", "forward_orig"):
        forward = innermost(vars(transformer).get(name) or getattr(Flux, name))
        if getattr(forward, "__module__", "") != Flux.__module__:
            return describe(forward)
    replaced = options.get("patches_replace", {}).get("dit", {}).values()
    return describe(innermost(next(iter(replaced)))) if replaced else "another extension"


def check_pooled(transformer: Any, pooled: Tensor) -> None:
    """Raises ValueError for a checkpoint's pooled vector (P,) of another length than the transformer's."""
    width = transformer.params.vec_in_dim
    if len(pooled) != width:
        raise ValueError(
            f"The checkpoint's pooled vector has {len(pooled)} numbers; this model takes {width}. Choose another file "
            "in Load MoGLE, or connect the model that it was trained on."
        )


def check_lora(transformer: Any, lora: MaskLoRA, present: set[str] | None = None) -> None:
    """Raises ValueError for a LoRA that was made for a transformer of other sizes.

    present: the names of its layers, where its modules are not to be asked.
    """
    width = transformer.params.hidden_size
    if lora.width != width:
        raise ValueError(
            f"The LoRA was made for a model of width {lora.width}; this one has {width}. Choose another file in "
            "LoRA Apply, or connect the model that it was trained on."
        )
    names = {name for name, _ in transformer.named_modules()} if present is None else present
    if missing := [name for name in lora.rows if name not in names]:
        raise ValueError(
            f"The LoRA acts on {missing[0]} and this model has no such layer ({len(transformer.double_blocks)} "
            f"double and {len(transformer.single_blocks)} single blocks): it was made for another FLUX."
        )
