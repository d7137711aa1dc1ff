"""What ComfyUI's versions do differently, found out by looking, from 0.3.64 on."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol

import comfy.ldm.flux.math
import comfy.ldm.modules.attention as attention
import comfy.model_management
import comfy.model_patcher
import torch
from comfy.ldm.flux.layers import DoubleStreamBlock
from comfy.ldm.flux.model import Flux
from comfy_api.latest import io
from torch import Tensor

from ...mogle_core.model.flux import attention as plain_flux
from .functions import mentions


class ModelPatcher(Protocol):
    """What is used of `comfy.model_patcher.ModelPatcher`, which carries a MODEL."""

    model: Any
    load_device: torch.device
    wrappers: dict[str, dict[str, list[Callable[..., Any]]]]

    def clone(self) -> ModelPatcher: ...
    def set_additional_models(self, key: str, models: list[ModelPatcher]) -> None: ...
    def get_additional_models_with_key(self, key: str) -> list[ModelPatcher]: ...
    def remove_additional_models(self, key: str) -> None: ...
    def add_wrapper_with_key(self, wrapper_type: str, key: str, wrapper: Callable[..., Any]) -> None: ...
    def remove_wrappers_with_key(self, wrapper_type: str, key: str) -> None: ...


PREFETCH: Any = None
with suppress(ImportError):  # 0.21 on
    PREFETCH = importlib.import_module("comfy.model_prefetch")

PAUSES_MALLOC_GRAPH = hasattr(PREFETCH, "pause_malloc_graph")
"""Whether the host may record what a block allocates (0.38 on); see `outliving`."""

# Looked up once: a compiled forward pass could not look them up itself.
PATCHES_ATTENTION = mentions(DoubleStreamBlock.forward, "attn1_output_patch")
"""Whether FLUX's own blocks call attention patches (0.14 on those of the output, 0.17 on those of the input)."""
PREFERS_ATTENTION = mentions(comfy.ldm.flux.math.attention, "preferred_attention")
"""Whether a checkpoint may choose its attention (0.40 on)."""
_SAGE: Any = getattr(attention, "attention_sage", None)
ASKS_FOR_PRECISION = mentions(_SAGE, "low_precision_attention")
"""Whether attention can be asked to be exact, masks and all (0.15 or so on)."""
_CALLS_APPLY_ROPE = mentions(comfy.ldm.flux.math.attention, "apply_rope")  # 0.3.69 on
_POSITIONS_TAKE_OPTIONS = mentions(Flux.process_img, "transformer_options")  # 0.3.69 on


def outliving() -> AbstractContextManager[Any]:
    """Around what is made inside of a block and used after it.

    Newer hosts (0.38 on) may record a block's allocations and hand the same memory out at each step; what outlives
    the block must be made while the recording pauses.
    """
    pause = getattr(PREFETCH, "pause_malloc_graph", None)
    return nullcontext() if pause is None else pause()


def newer_fields(**fields: Any) -> dict[str, Any]:
    """Those schema fields that this host knows (`search_aliases` from 0.11 on, `essentials_category` on 0.33)."""
    known = {known.name for known in dataclasses.fields(io.Schema)}
    return {name: value for name, value in fields.items() if name in known}


def newer_input_fields(**fields: Any) -> dict[str, Any]:
    """Those input fields that this host knows (`advanced` from 0.10 on)."""
    known = inspect.signature(io.Boolean.Input.__init__).parameters
    return {name: value for name, value in fields.items() if name in known}


def compute_dtype(model: Any) -> torch.dtype:
    """The dtype in which the model computes, whatever its weights are stored in."""
    dtype: torch.dtype = model.manual_cast_dtype or model.get_dtype()
    return dtype


def patcher(module: torch.nn.Module, loader: tuple[Callable[..., Any], tuple[Any, ...]]) -> ModelPatcher:
    """A small module under ComfyUI's memory management.

    loader: a function and its arguments that make the patcher anew, for ComfyUI's multi-GPU (0.23 on).
    """
    kind = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)  # 0.12 on
    made: ModelPatcher = kind(
        module,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    if hasattr(made, "cached_patcher_init"):
        setattr(made, "cached_patcher_init", loader)  # noqa: B010
    return made


def image_positions(transformer: Any, x: Tensor, options: Mapping[str, Any]) -> Tensor:
    """The image tokens' position ids (B, N, axes), by the host itself: rope options and all."""
    extra = {"transformer_options": options} if _POSITIONS_TAKE_OPTIONS else {}
    ids: Tensor = transformer.process_img(x, **extra)[1]
    return ids


def rotate(x: Tensor, pe: Tensor) -> Tensor:
    """The rotary embedding that this host's attention would apply, to the bit."""
    if _CALLS_APPLY_ROPE:
        rotated: Tensor = comfy.ldm.flux.math.apply_rope1(x, pe)
        return rotated
    return plain_flux.rotate(x, pe)


def exact_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, options: Mapping[str, Any]) -> Tensor:
    """The host's attention of rotated q, k and v (B, heads, S, D) with a mask -> (B, S, heads * D).

    SageAttention 1, and what packs put in attention's place, take no mask or ignore it. The host's own models ask
    for exact attention beside theirs by a keyword, which its FLUX cannot hand on. Where there is none (0.3.64), what
    may ignore masks is passed over.
    """
    chosen: Callable[..., Tensor] = comfy.ldm.flux.math.optimized_attention
    more: dict[str, Any] = {"transformer_options": options}
    if ASKS_FOR_PRECISION:
        more["low_precision_attention"] = False
    elif chosen is _SAGE or "optimized_attention_override" in options:
        chosen, more = attention.attention_pytorch, {}
    return chosen(q, k, v, q.shape[1], skip_reshape=True, mask=mask, **more)
