"""How the toy's base model starts."""

from __future__ import annotations

import torch

from mogle_core.flux import Flux, FluxParams, rotate
from mogle_core.stream import mask_positions, split_heads
from mogle_core.toy.build.base import look_near


def test_the_first_head_looks_near() -> None:
    """Its logits fall with the distance, whatever the tokens hold; the other head's do not know it."""
    torch.manual_seed(0)
    flux = Flux(FluxParams(hidden_size=256, num_heads=2, depth=1, depth_single_blocks=1))
    look_near(flux)
    rotary = flux.rotary(mask_positions(6, 6))
    x = torch.randn(8, 36, 256)
    single, double = flux.single_blocks[0], flux.double_blocks[0].img_attn
    for qkv, norm in ((double.qkv(x), double.norm), (single.linear1(x)[..., : 3 * 256], single.norm)):
        q, k, _ = split_heads(qkv, 2, norm)
        logits = (rotate(q, rotary) @ rotate(k, rotary).mT).mean(0) / 128**0.5
        own, beside, two_on = (logits.diagonal(n * 6, 1, 2).mean(-1) for n in (0, 1, 2))
        assert own[0] > beside[0] + 0.5 and beside[0] > two_on[0] + 0.5
        assert (own[1] - two_on[1]).abs() < 0.3
