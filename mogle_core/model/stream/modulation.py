"""FLUX's modulation: the vector of a stream, and the shift, scale and gate that the layers compute from it.

Mask tokens follow the others in one tensor and have a separate modulation. Without autograd, a layer's fresh output is
overwritten span by span. Under autograd, and in a compiled graph, the spans are concatenated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .overwrite import may_overwrite
from .transformer import Transformer

Sinusoid = Callable[[Tensor, int], Tensor]
"""The host's embedding of times and guidances (B,), of this width: (B, width)."""

SINUSOID_WIDTH = 256

BLIND_GUIDANCE = 1.0
"""The guidance in a vector that is blind to the prompt, which is training's."""


def modulation_vector(
    transformer: Transformer, time: Tensor, pooled: Tensor, guidance: Tensor | None, sinusoid: Sinusoid
) -> Tensor:
    """The vector (B, H) of a stream at time (B,), with pooled text (B, P) and guidance (B,)."""
    vec = transformer.time_in(sinusoid(time, SINUSOID_WIDTH).to(pooled.dtype))
    if guidance is not None and transformer.guidance_in is not None:
        vec = vec + transformer.guidance_in(sinusoid(guidance, SINUSOID_WIDTH).to(pooled.dtype))
    return vec + transformer.vector_in(pooled)


def mask_time(batch: int, like: Tensor) -> Tensor:
    """Time 0, (B,), because mask tokens are always clean."""
    return like.new_zeros(batch)


def mask_vector(
    transformer: Transformer,
    pooled: Tensor,
    guidance: Tensor | None,
    sinusoid: Sinusoid,
    mask_guidance: float | None = None,
) -> Tensor:
    """The mask stream's vector (B, H), which is the same at every step.

    guidance: the image's (B,), or None. mask_guidance: replaces it, unless None.
    """
    if guidance is not None and mask_guidance is not None:
        guidance = torch.full_like(guidance, mask_guidance)
    return modulation_vector(transformer, mask_time(len(pooled), pooled), pooled, guidance, sinusoid)


class Modulation(NamedTuple):
    """One layer's shift, scale and gate, each (B, 1, H)."""

    shift: Tensor
    scale: Tensor
    gate: Tensor


def double(parts: tuple[Tensor, ...]) -> tuple[Modulation, Modulation]:
    """The six chunks of a double block's modulation: for the attention, for the MLP."""
    return Modulation(*parts[:3]), Modulation(*parts[3:])


def affine(x: Tensor, others: int, host: Modulation, mask: Modulation | None = None) -> Tensor:
    """x (1 + scale) + shift, by `host` for the first `others` tokens, by `mask` for the mask's.

    x must be the fresh output of a norm; it is overwritten, except under autograd.
    """
    if mask is None:
        return torch.addcmul(host.shift, x, 1 + host.scale)
    spans = ((x[:, :others], host), (x[:, others:], mask))
    # Autograd and compiled graphs do not accept a part of a tensor as `out`; a graph fuses the copies away.
    if not may_overwrite():
        return torch.cat([torch.addcmul(m.shift, span, 1 + m.scale) for span, m in spans], dim=1)
    for span, m in spans:
        torch.addcmul(m.shift, span, 1 + m.scale, out=span)
    return x


def gated(x: Tensor, others: int, host: Modulation, mask: Modulation | None = None) -> Tensor:
    """x gate, by `host` for the first `others` tokens, by `mask` for the mask's. x must be a Linear's fresh output."""
    if mask is None:
        return x * host.gate
    spans = ((x[:, :others], host), (x[:, others:], mask))
    if torch.is_grad_enabled():
        return torch.cat([span * m.gate for span, m in spans], dim=1)
    for span, m in spans:
        span.mul_(m.gate)
    return x


def finite(x: Tensor) -> Tensor:
    """Clamp float16, which may overflow in FLUX's residuals, as BFL and ComfyUI do."""
    if x.dtype != torch.float16:
        return x
    largest = torch.finfo(torch.float16).max
    return torch.nan_to_num(x, nan=0.0, posinf=largest, neginf=-largest)
