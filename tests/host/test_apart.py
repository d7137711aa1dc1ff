"""What must not mix: branches, images of a batch, positive and negative, areas."""

from __future__ import annotations

import pytest
import torch
from support import tiny
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, run


def test_branches_do_not_see_each_other(base, gated, latents) -> None:
    one, first, _, _ = gated(base, POSITIVE, latents(1))
    two, second, _, _ = gated(base, POSITIVE, latents(2), strength=0.7)
    alone = run(one, first), run(two, second)
    assert not torch.allclose(*alone, atol=1e-3)
    again = run(one, first), run(two, second), run(one, first)
    assert torch.equal(again[0], alone[0])
    assert torch.equal(again[1], alone[1])
    assert torch.equal(again[2], alone[0])


def test_a_second_gated_condition_replaces_the_first(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    once = run(model, positive)
    twice, positive, _, _ = gated(model, POSITIVE, latents(1))
    assert torch.equal(run(twice, positive), once)


def test_batch_of_two_with_one_mask(base, gated, latents) -> None:
    """Each image of the batch is the same as alone. Only the noise differs."""
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    noisy = torch.randn(2, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    both = tiny.velocity(model, noisy, 0.6, positive)
    for i in range(2):
        torch.testing.assert_close(both[i], tiny.velocity(model, noisy[i : i + 1], 0.6, positive)[0], atol=1e-5, rtol=0)


def test_batch_of_two_with_two_masks(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(4, batch=2))
    noisy = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    both = tiny.velocity(model, noisy.repeat(2, 1, 1, 1), 0.6, positive)
    assert not torch.allclose(both[0], both[1], atol=1e-3)
    encode = type(latents(4, batch=2))
    for i in range(2):
        single, conditioned, _, _ = gated(base, POSITIVE, encode(latents(4, batch=2).latents[i : i + 1]))
        torch.testing.assert_close(both[i], tiny.velocity(single, noisy, 0.6, conditioned)[0], atol=1e-5, rtol=0)


def test_negative_without_a_mask_at_cfg_3(base, gated, latents) -> None:
    """cfg combines the masked positive with a plain negative. Each is the same as alone."""
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    noisy = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    masked = tiny.velocity(model, noisy, 0.6, positive)
    plain = tiny.velocity(base, noisy, 0.6, NEGATIVE)
    guided = (noisy - tiny.trajectory(model, noisy, [0.6, 0.0], positive, NEGATIVE, cfg=3.0)[-1]) / 0.6
    torch.testing.assert_close(guided, plain + 3 * (masked - plain), atol=2e-5, rtol=0)


def test_negative_with_a_mask_at_cfg_3(base, gated, latents) -> None:
    model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE)
    noisy = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    one, two = (tiny.velocity(model, noisy, 0.6, side) for side in (positive, negative))
    guided = (noisy - tiny.trajectory(model, noisy, [0.6, 0.0], positive, negative, cfg=3.0)[-1]) / 0.6
    torch.testing.assert_close(guided, two + 3 * (one - two), atol=2e-5, rtol=0)


@pytest.mark.parametrize("own_size", [False, True], ids=["encoded for the picture", "encoded for the area"])
def test_two_masks_side_by_side_by_areas(own_size: bool, base, gated, latents, comfy) -> None:
    """Each half is what its mask alone gives there. ComfyUI feathers the seam over 8 latent cells."""
    width = 2 * WIDTH
    area, combine = comfy.node("ConditioningSetArea"), comfy.node("ConditioningCombine")
    mask_width = WIDTH if own_size else width
    sides = []
    for seed, x in ((1, 0), (2, WIDTH)):
        model, positive, _, _ = gated(base, POSITIVE, latents(seed, width=mask_width))
        sides.append(area(conditioning=positive, width=WIDTH, height=HEIGHT, x=x, y=0, strength=1.0)[0])
    (both,) = combine(conditioning_1=sides[0], conditioning_2=sides[1])
    noisy = torch.randn(1, 16, HEIGHT // 8, width // 8, generator=torch.Generator().manual_seed(3))
    result = tiny.velocity(model, noisy, 0.6, both)
    cells = WIDTH // 8
    for side, (seed, start) in enumerate(((1, 0), (2, cells))):
        masks = latents(seed, width=mask_width)
        crop = masks if own_size else type(masks)(masks.latents[..., start : start + cells])
        alone, positive, _, _ = gated(base, POSITIVE, crop)
        expected = tiny.velocity(alone, noisy[..., start : start + cells], 0.6, positive)
        torch.testing.assert_close(result[..., start : start + cells], expected, atol=1e-5, rtol=0, msg=f"side {side}")
