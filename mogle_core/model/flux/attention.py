"""FLUX's attention in torch: the rotary embedding, and the scaled dot product after it."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from ..stream.attention import ByStream, by_stream


def rope(ids: Tensor, axes_dim: tuple[int, ...], theta: int) -> Tensor:
    """Position ids (B, S, axes) -> rotation matrices (B, 1, S, D/2, 2, 2), float32 from float64.

    Computed on the CPU if the ids' device lacks float64 (Apple's MPS), so every device gives the same matrices.
    """
    parts, device = [], ids.device
    ids = ids.cpu() if device.type == "mps" else ids
    for axis, dim in enumerate(axes_dim):
        omega = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64, device=ids.device) / dim)
        angle = ids[..., axis, None].double() * omega
        matrix = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), dim=-1)
        parts.append(rearrange(matrix, "b s d (i j) -> b s d i j", i=2))
    return torch.cat(parts, dim=-3).float()[:, None].to(device)


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turn each pair of channels of x (B, heads, Q, D) by its position's matrix (B, 1, S >= Q, D/2, 2, 2).

    x must be the fresh output of a norm; it is overwritten, except under autograd.
    """
    turn = rotary[:, :, : x.shape[2]]
    if torch.compiler.is_compiling():  # which cannot fuse complex numbers
        pairs = x.float().reshape(*x.shape[:-1], -1, 1, 2)
        return (turn[..., 0] * pairs[..., 0] + turn[..., 1] * pairs[..., 1]).reshape(x.shape).type_as(x)
    # Rotation is a product with cos + i sin, which takes a fifth of the time of cos and sin separately.
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    factors = torch.view_as_complex(turn[..., 0].contiguous())
    if torch.is_grad_enabled():
        return torch.view_as_real(pairs * factors).flatten(-2).type_as(x)
    turned = torch.view_as_real(pairs.mul_(factors)).flatten(-2)
    return turned if turned.dtype == x.dtype else x.copy_(turned)


def attend(q: Tensor, k: Tensor, v: Tensor, rotary: Tensor | None, mask: Tensor | ByStream | None) -> Tensor:
    """torch's scaled dot product attention after the rotary embedding (see `attention.Attend`)."""
    if rotary is not None:
        q, k = rotate(q, rotary), rotate(k, rotary)
    if isinstance(mask, ByStream):
        return by_stream(_without_positions, q, k, v, mask)
    return _without_positions(q, k, v, mask)


def _without_positions(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    if q.device.type == "cpu" and torch.is_grad_enabled():
        return rearrange(_plain_attention(q, k, v, mask), "b h s d -> b s (h d)")
    return rearrange(F.scaled_dot_product_attention(q, k, v, attn_mask=mask), "b h s d -> b s (h d)")


def _plain_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention in separate operations: on a CPU, a training step with torch's fused one takes a quarter longer."""
    logits = (q @ k.mT).float() / math.sqrt(q.shape[-1])
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask.float()
    return logits.softmax(dim=-1).to(v.dtype) @ v
