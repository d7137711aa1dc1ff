"""Converts a block's rows [q | k | v] to attention heads, and puts their result beside the MLP's hidden layer."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from .overwrite import may_overwrite, overwrite


def split_heads(qkv: Tensor, heads: int, norm: Any) -> tuple[Tensor, Tensor, Tensor]:
    """(B, S, 3 H), which is overwritten -> normalised q and k, and v: (B, S, heads, D) each."""
    q, k, v = rearrange(qkv, "b s (three h d) -> three b s h d", three=3, h=heads)
    q, k = overwrite(lambda q, k: norm(q, k, v), q, k)
    return q, k, v


def heads_first(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, S, heads, D) -> (B, heads, S, D), the layout of attention.

    The attention's result has q's memory layout, so that (B, S, H) is a view of it.
    """
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def beside_hidden(attention: Tensor, fused: Tensor, activation: Any) -> Tensor:
    """A single block's second input [attention | activated hidden] (B, S, H + hidden).

    Args:
        attention: (B, S, H).
        fused: the first Linear's output [q | k | v | hidden] (B, S, 3 H + hidden), which is overwritten: the attention
            replaces v, which is not read again, and so lies beside the hidden layer without a copy of the latter.
    """
    width = attention.shape[-1]
    (hidden,) = overwrite(lambda part: (activation(part),), fused[..., 3 * width :])
    if not may_overwrite():
        return torch.cat((attention, hidden), dim=2)
    fused[..., 2 * width : 3 * width] = attention
    return fused[..., 2 * width :]
