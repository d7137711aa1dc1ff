"""How the toy's base model is initialised."""

from __future__ import annotations

from pathlib import Path

import torch

from mogle_core.model.flux.attention import rotate
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.stream.heads import heads_first, split_heads
from mogle_core.model.stream.mask_tokens import mask_positions
from mogle_core.toy.build.base import Painter, look_near, train_base
from mogle_core.toy.build.loop import Plan
from mogle_core.toy.registration import TOY_FLUX
from mogle_core.toy.text import ToyText, collect_vocabulary


def test_the_first_head_looks_near() -> None:
    """Its logits fall with distance, whatever the tokens hold. The other head's do not depend on distance."""
    torch.manual_seed(0)
    flux = Flux(FluxParams(hidden_size=256, num_heads=2, depth=1, depth_single_blocks=1))
    look_near(flux)
    rotary = flux.rotary(mask_positions(6, 6))
    x = torch.randn(8, 36, 256)
    single, double = flux.single_blocks[0], flux.double_blocks[0].img_attn
    for qkv, norm in ((double.qkv(x), double.norm), (single.linear1(x)[..., : 3 * 256], single.norm)):
        q, k, _ = heads_first(*split_heads(qkv, 2, norm))
        logits = (rotate(q, rotary) @ rotate(k, rotary).mT).mean(0) / 128**0.5
        own, beside, two_on = (logits.diagonal(n * 6, 1, 2).mean(-1) for n in (0, 1, 2))
        assert own[0] > beside[0] + 0.5
        assert beside[0] > two_on[0] + 0.5
        assert (own[1] - two_on[1]).abs() < 0.3


def test_training_starts_from_heads_that_look_near(tmp_path: Path) -> None:
    """With learning rate 0, training leaves the fresh base with only this change."""
    torch.manual_seed(0)
    expected = Flux(TOY_FLUX)
    trained = Painter(ToyText(collect_vocabulary(["hair"])), Flux(TOY_FLUX))
    trained.flux.load_state_dict(expected.state_dict())
    look_near(expected)
    faces = torch.randn(2, 4, 64)
    train_base(faces, faces, ("hair", "hair"), trained, Plan(1, 0.0, weight_decay=0.0), tmp_path, seed=0, batch=2)
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in trained.flux.state_dict().items())
