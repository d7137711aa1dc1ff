"""The layers that image and mask tokens share, with the LoRA's addition on the mask tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .lora import adapted
from .mask_stream import MaskStream
from .modulation import Modulation
from .overwrite import overwrite
from .transformer import MLP, Layer


def modulate(
    lin: Layer, vec: Tensor, chunks: int, mask: MaskStream | None = None, layer: str = ""
) -> tuple[Modulation, ...]:
    """The shifts, scales and gates of the host's tokens from `vec` (B, H): two triples for 6 chunks, one for 3."""
    activated = F.silu(vec[:, None])
    low_rank = mask.given.lora.get(layer) if mask is not None and mask.given.options.latent_lora else None
    parts = adapted(lin, activated, low_rank).chunk(chunks, dim=-1)
    return tuple(Modulation(*parts[i : i + 3]) for i in range(0, chunks, 3))


def linear(module: Layer, x: Tensor, others: int, mask: MaskStream | None = None, layer: str = "") -> Tensor:
    """A shared Linear over [others | mask tokens], with the LoRA's addition on the mask tokens.

    The LoRA reads the input first: ComfyUI's legacy fp8 product clamps it in place.
    """
    low_rank = None if mask is None else mask.given.lora.get(layer)
    first = 0 if mask is not None and mask.given.options.latent_lora else others
    inner = None if low_rank is None else low_rank.inner(x[:, first:])
    if mask is not None and mask.given.separate_calls and x.shape[1] > others:
        out = torch.cat((call_linear(module, x[:, :others]), call_linear(module, x[:, others:])), dim=1)
    else:
        out = call_linear(module, x)
    if low_rank is not None and inner is not None:
        low_rank.add_to(out[:, first:], inner)
    return out


def call_linear(module: Layer, x: Tensor) -> Tensor:
    """module(x); x (B, S, in) may be a part of wider rows."""
    weight: Any = getattr(module, "weight", None)
    plain = type(weight) in (Tensor, nn.Parameter) and weight.dtype.itemsize > 1
    if plain and not x.is_contiguous():
        # torch computes product and bias of such rows in one operation only without a batch dimension.
        return module(x.flatten(0, 1)).view(*x.shape[:2], -1)
    return module(x.contiguous())  # kernels for quantised weights may need whole rows


def mlp(layers: MLP, x: Tensor, others: int, mask: MaskStream | None, name: str) -> Tensor:
    """A double block's MLP: Linear, activation, Linear."""
    if mask is None:
        return layers(x)
    hidden = linear(layers[0], x, others, mask, f"{name}.0")
    (hidden,) = overwrite(lambda part: (layers[1](part),), hidden)
    return linear(layers[2], hidden, others, mask, f"{name}.2")
