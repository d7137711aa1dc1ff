"""FLUX's modulation: shift, scale and gate from a vector, on one span of tokens or on two.

Mask tokens stand behind the others in one tensor and have a modulation of their own. Without autograd a
layer's fresh output is overwritten span by span; under autograd, and where a compiled graph wants it, the spans are
concatenated anew.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .overwrite import may_overwrite


class Modulation(NamedTuple):
    """One layer's shift, scale and gate, each (B, 1, H)."""

    shift: Tensor
    scale: Tensor
    gate: Tensor


def double(parts: tuple[Tensor, ...]) -> tuple[Modulation, Modulation]:
    """The six chunks of a double block's modulation: for the attention, for the MLP."""
    return Modulation(*parts[:3]), Modulation(*parts[3:])


def affine(x: Tensor, others: int, own: Modulation, theirs: Modulation | None = None) -> Tensor:
    """x (1 + scale) + shift, the first `others` tokens by `own`, the mask's by `theirs`.

    x is a norm's fresh output and is overwritten, except under autograd.
    """
    if theirs is None:
        return torch.addcmul(own.shift, x, 1 + own.scale)
    spans = ((x[:, :others], own), (x[:, others:], theirs))
    # Neither autograd nor a compiled graph takes a part of a tensor as `out`; a graph fuses the copies away.
    if not may_overwrite():
        return torch.cat([torch.addcmul(m.shift, span, 1 + m.scale) for span, m in spans], dim=1)
    for span, m in spans:
        torch.addcmul(m.shift, span, 1 + m.scale, out=span)
    return x


def gated(x: Tensor, others: int, own: Modulation, theirs: Modulation | None = None) -> Tensor:
    """x gate, the first `others` tokens by `own`, the mask's by `theirs`; x is a Linear's fresh output."""
    if theirs is None:
        return x * own.gate
    spans = ((x[:, :others], own), (x[:, others:], theirs))
    if torch.is_grad_enabled():
        return torch.cat([span * m.gate for span, m in spans], dim=1)
    for span, m in spans:
        span.mul_(m.gate)
    return x


def finite(x: Tensor) -> Tensor:
    """float16 may overflow in FLUX's residuals; clamp as every host does."""
    if x.dtype != torch.float16:
        return x
    largest = torch.finfo(torch.float16).max
    return torch.nan_to_num(x, nan=0.0, posinf=largest, neginf=-largest)
