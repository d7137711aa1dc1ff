"""Runs the mask tokens through a block separately, when another extension's forward runs text and image.

The other extension's block computes text and image. Here the mask tokens pass the same sub-modules. The two only
meet in the attention, where their keys and values are joined and the mask's part of the result comes back.
"""

from __future__ import annotations

from torch import Tensor

from .heads import beside_hidden, heads_first, split_heads
from .mask_stream import MaskStream
from .modulation import Modulation, affine, double, finite, gated
from .shared_layers import linear, mlp
from .transformer import DoubleBlock, SingleBlock

Heads = tuple[Tensor, Tensor, Tensor]
"""q, k and v of the mask tokens (B, heads, M, D), before the rotary embedding."""


def double_heads(block: DoubleBlock, name: str, mask: MaskStream) -> Heads:
    """A double block's queries, keys and values of the mask tokens."""
    (first, _), x = double(mask.given.modulation(f"{name}.img_mod.lin", 6)), mask.tokens
    qkv = linear(block.img_attn.qkv, affine(block.img_norm1(x), x.shape[1], first), 0, mask, f"{name}.img_attn.qkv")
    return heads_first(*split_heads(qkv, block.num_heads, block.img_attn.norm))


def double_update(block: DoubleBlock, name: str, mask: MaskStream, attention: Tensor) -> None:
    """Update the mask tokens by their attention (B, M, H) and the MLP."""
    first, second = double(mask.given.modulation(f"{name}.img_mod.lin", 6))
    x, count = mask.tokens, mask.tokens.shape[1]
    x = x + gated(linear(block.img_attn.proj, attention, 0, mask, f"{name}.img_attn.proj"), count, first)
    normed = affine(block.img_norm2(x), count, second)
    mask.move(x + gated(mlp(block.img_mlp, normed, 0, mask, f"{name}.img_mlp"), count, second))


def single_heads(block: SingleBlock, name: str, mask: MaskStream) -> tuple[Heads, Tensor]:
    """A single block's heads of the mask tokens, and the first Linear's output, which includes the MLP's part."""
    modulation, x = Modulation(*mask.given.modulation(f"{name}.modulation.lin", 3)), mask.tokens
    normed = affine(block.pre_norm(x), x.shape[1], modulation)
    fused = linear(block.linear1, normed, 0, mask, f"{name}.linear1")
    return heads_first(*split_heads(fused[..., : 3 * block.hidden_size], block.num_heads, block.norm)), fused


def single_update(block: SingleBlock, name: str, mask: MaskStream, attention: Tensor, fused: Tensor) -> None:
    """Update the mask tokens by their attention (B, M, H) and the parallel hidden layer."""
    modulation = Modulation(*mask.given.modulation(f"{name}.modulation.lin", 3))
    update = linear(block.linear2, beside_hidden(attention, fused, block.mlp_act), 0, mask, f"{name}.linear2")
    mask.move(finite(mask.tokens + gated(update, mask.tokens.shape[1], modulation)))
