"""Gated Condition's mask_tokens merged in real sampling: core's numbers, batches, areas, kept keys, memory."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any

import comfy.ldm.flux.math as host_math
import comfy.ldm.modules.attention as host_attention
import pytest
import torch
from support import golden, tiny
from support.host_memory import asked_shapes, stored_bytes
from support.masked import HEIGHT, MERGEABLE, NEGATIVE, POSITIVE, TOKENS, WIDTH, ids_with_squares, run
from torch import Tensor

from mogle_core.model.flux_latents import pack
from mogle_core.model.mixture.mask_latents import pure_cells
from mogle_core.model.sampling.gated_mask import GatedMask
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.merged_tokens import HIDDEN, merge_squares

GRID = (HEIGHT // 16, WIDTH // 16)
IDS, OTHER = MERGEABLE
LEFT = TOKENS - 6
"""How many tokens the first mask has left."""


def noise(seed: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def merged(scene, base, gated) -> Any:
    """Gated Condition with `mask_tokens` merged: (ids or masks, **inputs) -> model, positive, negative, gates."""

    def conditioned(masks: Any, model: Any = None, positive: list = POSITIVE, **inputs: Any) -> Any:
        masks = scene.encoded(masks) if isinstance(masks, Tensor) else masks
        return gated(base if model is None else model, positive, masks, **{"mask_tokens": "merged", **inputs})

    return conditioned


def test_the_velocity_is_cores(scene, merged) -> None:
    model, positive, _, _ = merged(IDS)
    x, time = noise(5), 0.6
    flux, network = golden.read_transformer(), golden.read_network().requires_grad_(False)
    with torch.no_grad():
        mask = GatedMask.of(network, pack(scene.encoded(IDS).latents), GRID, "merged")
        sigma = torch.tensor([time])
        tokens = mask.blend(mask.gate(pack(x), sigma, "sampling"))
        lora = golden.read_lora().requires_grad_(False).low_rank()
        condition = MaskCondition(tokens, GRID, lora, merged=merge_squares(pure_cells(IDS), GRID))
        ((context, entry),) = POSITIVE
        guidance = torch.tensor([entry["guidance"]])
        expected = flux(pack(x), context, sigma, entry["pooled_output"], GRID, guidance, condition)
    result = tiny.packed(tiny.velocity(model, x, time, positive))
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)
    full, positive, _, _ = merged(IDS, mask_tokens="full")
    assert not torch.allclose(tiny.packed(tiny.velocity(full, x, time, positive)), expected, atol=1e-3)


@pytest.mark.parametrize("inputs", [{}, {"strength": 0.5}, {"refresh_every": 0}], ids=str)
def test_each_picture_of_a_batch_is_as_alone(inputs, merged) -> None:
    """The second mask has more tokens left than the first."""
    start, sigmas = noise(6, 2), [1.0, 0.7, 0.3, 0.0]
    model, positive, _, _ = merged(torch.cat((IDS, OTHER)), **inputs)
    together = tiny.trajectory(model, start, sigmas, positive)[-1]
    for place, ids in enumerate((IDS, OTHER)):
        model, positive, _, _ = merged(ids, **inputs)
        alone = tiny.trajectory(model, start[place : place + 1], sigmas, positive)[-1]
        torch.testing.assert_close(together[place : place + 1], alone, atol=1e-5, rtol=0)


def test_two_prompts_with_the_mask_share_a_pass(merged) -> None:
    model, positive, negative, gates = merged(IDS, negative=NEGATIVE)
    result = run(model, positive, negative, cfg=2.0)
    assert {frozenset(step.conditionings) for step in gates.steps} == {frozenset((0, 1))}
    full, positive, negative, _ = merged(IDS, negative=NEGATIVE, mask_tokens="full")
    assert not torch.allclose(result, run(full, positive, negative, cfg=2.0), atol=1e-3)


@pytest.mark.parametrize("start", [2, 3], ids=["on the squares' grid", "between tokens"])
def test_an_area_merges_what_is_of_one_class_in_it(start: int, scene, merged) -> None:
    """As with a mask of the area's own size, cut out of the latents and label map of the whole."""
    area, whole = (6, 7, 1, start), scene.encoded(ids_with_squares(1, (0, 1), (1, 1), (0, 2)))
    top, left = slice(area[2], area[2] + area[0]), slice(area[3], area[3] + area[1])
    ids = whole.ids[:, 8 * top.start : 8 * top.stop, 8 * left.start : 8 * left.stop]
    cut = replace(whole, latents=whole.latents[..., top, left], ids=ids)
    results = []
    for masks in (whole, cut):
        model, positive, _, _ = merged(masks)
        ((text, entry),) = positive
        results.append(run(model, [[text, {**entry, "area": area, "strength": 1.0}], *POSITIVE]))
    assert torch.isfinite(results[0]).all()
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=0)


def test_kept_keys_are_those_of_their_step(merged) -> None:
    """The last sigma again: the second step gets the first one's keys, and the same latent and time."""
    sigmas = [1.0, 1.0, 0.0]
    results = []
    for refresh in (1, 0):
        model, positive, _, _ = merged(IDS, refresh_every=refresh)
        results.append(tiny.trajectory(model, noise(7), sigmas, positive)[-1])
    torch.testing.assert_close(*results, atol=1e-5, rtol=0)


def test_memory_and_log_count_the_tokens_that_are_left(merged, base, comfy, monkeypatch, caplog) -> None:
    asked, stored = asked_shapes(monkeypatch), stored_bytes(comfy, monkeypatch)
    sampling, passes = comfy.module("nodes.host.sampling"), []
    tokens_of = sampling.tokens_of
    monkeypatch.setattr(sampling, "tokens_of", lambda *given: passes.append(tokens_of(*given)) or passes[-1])
    model, positive, _, _ = merged(IDS)
    run(model, positive, steps=2)
    fewer = -(-LEFT * (WIDTH // 8) // TOKENS)
    assert asked[-1][-1] == WIDTH // 8 + fewer
    assert [tokens.mask for tokens in passes] == [LEFT] * 2
    model, positive, _, _ = merged(IDS, refresh_every=2)
    run(model, positive, steps=2)
    column = base.model.memory_required([1, 16, HEIGHT // 8, 1])
    assert asked[-1][-1] == WIDTH // 8 + fewer - -sum(stored) // column
    assert sum(stored) == comfy.module("nodes.host.kept_keys").key_bytes(base.model, 1, LEFT)
    assert [(tokens.mask, tokens.kept) for tokens in passes[2:]] == [(LEFT, 0), (0, LEFT)]
    # With an area all are counted, because it may cut squares.
    ((text, entry),) = positive
    run(model, [[text, {**entry, "area": (8, 8, 0, 0)}], *POSITIVE], steps=1)
    assert asked[-1][-1] > WIDTH // 8 + WIDTH // 8


@pytest.mark.parametrize("kind", ["attn1_patch", "override"])
def test_beside_what_reaches_into_attention(kind: str, merged, base) -> None:
    model, positive, _, _ = merged(torch.cat((IDS, OTHER)))
    expected = run(model, positive, batch=2)
    other = base.clone()
    if kind == "attn1_patch":
        other.set_model_patch(lambda q, k, v, **more: {"q": q, "k": k, "v": v}, "attn1_patch")
    else:
        options = other.model_options["transformer_options"]
        options["optimized_attention_override"] = lambda function, *args, **more: function(*args, **more)
    model, positive, _, _ = merged(torch.cat((IDS, OTHER)), other)
    torch.testing.assert_close(run(model, positive, batch=2), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("backend", ["attention_basic", "attention_split", "attention_sub_quad", "attention_pytorch"])
def test_every_backend_takes_a_bias_for_each_picture(backend: str, comfy, monkeypatch) -> None:
    attention, blocks = comfy.module("mogle_core.model.stream.attention"), comfy.module("nodes.host.blocks")
    monkeypatch.setattr(host_math, "optimized_attention", getattr(host_attention, backend))
    q, k, v = (torch.randn(2, 3, 40, 16, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    bias = torch.zeros(2, 1, 1, 16)
    bias[0, ..., :3], bias[1, ..., 9:] = math.log(4), HIDDEN
    mask = attention.who_sees_whom(None, 24, 16, attention.StreamOptions(), q, bias=bias)
    attend = blocks.attention(None, {})
    torch.testing.assert_close(attend(q, k, v, None, mask), attend(q, k, v, None, mask.dense(q)), atol=1e-5, rtol=0)


def test_region_prompts_are_refused(merged, comfy) -> None:
    (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=tiny.conditioning(7, tokens=5))
    with pytest.raises(ValueError, match="set mask_tokens to full instead of merged"):
        merged(IDS, region_prompts=prompts)


def test_without_a_label_map_all_tokens_stay_and_the_log_says_so(scene, merged, caplog) -> None:
    known = scene.encoded(IDS)
    full, positive, _, _ = merged(known, mask_tokens="full")
    expected = run(full, positive)
    for masks in (replace(known, ids=None), replace(known, extra={"sketch": known.latents[:, 0]})):
        assert masks.cells() is None
    with caplog.at_level(logging.WARNING):
        model, positive, _, _ = merged(replace(known, ids=None))
    assert "every mask token stays" in caplog.text
    assert torch.equal(run(model, positive), expected)


def test_the_last_gated_condition_decides(scene, merged, gated, base) -> None:
    """Cells that an earlier one put on the conditioning have no effect if the model's does not merge."""
    _, positive, _, _ = merged(IDS)
    model, plain, _, _ = gated(base, POSITIVE, scene.encoded(IDS))
    assert torch.equal(run(model, positive), run(model, plain))
