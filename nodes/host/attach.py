"""Weights and wrappers on a clone of the MODEL."""

from __future__ import annotations

from functools import partial

import torch
from comfy.patcher_extension import WrappersMP

from ...mogle_core.model.checkpoints.files import read_lora
from ...mogle_core.model.stream.lora import FusedLoRA, MaskLoRA
from .files import LoadedMoGLE
from .models import check_lora, check_pooled, layer_names, plain_transformer, refuse_other_models
from .passes import FILES_LORA, LORA
from .runs import NETWORK, MaskSettings
from .sampling import apply_model, diffusion_model, outer_sample, prepare_sampling
from .versions import ModelPatcher, compute_dtype, patcher

WRAPPERS = "mogle"
WRAPPED = {
    WrappersMP.OUTER_SAMPLE: outer_sample,
    WrappersMP.PREPARE_SAMPLING: prepare_sampling,
    WrappersMP.APPLY_MODEL: apply_model,
    WrappersMP.DIFFUSION_MODEL: diffusion_model,
}


def attach(model: ModelPatcher, mogle: LoadedMoGLE, settings: MaskSettings) -> ModelPatcher:
    """A clone of the model with network and wrappers; a Gated Condition before this one is replaced."""
    refuse_other_models(model, "Gated Condition")
    if settings.options.latent_lora:
        raise ValueError(
            "This checkpoint was trained with `latent_lora`, so its LoRA also acts on the image. ComfyUI embeds the "
            "image before any node can reach it, and the result would be wrong: choose another file in Load MoGLE."
        )
    if settings.pooled is not None:
        check_pooled(plain_transformer(model), settings.pooled)
    patched = model.clone()
    patched.set_additional_models(NETWORK, [mogle.patcher])
    patched.remove_additional_models(FILES_LORA)  # of a Gated Condition before this one, with another file
    if mogle.lora is not None and not patched.get_additional_models_with_key(LORA):
        patched = attach_lora(patched, mogle.lora, 1.0, mogle.path, FILES_LORA)
    for kind, wrapper in WRAPPED.items():
        patched.remove_wrappers_with_key(kind, WRAPPERS)
        patched.add_wrapper_with_key(kind, WRAPPERS, partial(wrapper, settings))
    return patched


def detach(model: ModelPatcher) -> ModelPatcher:
    """The model without what a Gated Condition before this one put on it; itself if there was none."""
    if not any(model.wrappers.get(kind, {}).get(WRAPPERS) for kind in WRAPPED):
        return model
    plain = model.clone()
    for kind in WRAPPED:
        plain.remove_wrappers_with_key(kind, WRAPPERS)
    for key in (NETWORK, FILES_LORA):
        plain.remove_additional_models(key)
    return plain


def attach_lora(model: ModelPatcher, lora: MaskLoRA, strength: float, path: str, key: str = LORA) -> ModelPatcher:
    """A clone of the model with this LoRA for its mask stream, in the model's dtype."""
    refuse_other_models(model, "LoRA Apply")
    check_lora(plain_transformer(model), lora, layer_names(model))
    dtype = compute_dtype(model.model)
    patched = model.clone()
    loader = (lora_patcher, (path, dtype, strength))
    patched.set_additional_models(key, [patcher(FusedLoRA(lora, dtype, strength), loader)])
    return patched


def lora_patcher(path: str, dtype: torch.dtype, strength: float, disable_dynamic: bool = False) -> ModelPatcher:
    """The LoRA once more, for another device."""
    loader = (lora_patcher, (path, dtype, strength))
    return patcher(FusedLoRA(read_lora(path).lora, dtype, strength), loader)
