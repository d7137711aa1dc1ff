"""Gated Condition's speed options in real sampling: no effect by default, and the promised effect otherwise."""

from __future__ import annotations

import logging
from typing import Any

import comfy.ldm.flux.math as host_math
import comfy.ldm.modules.attention as host_attention
import pytest
import torch
from support import tiny
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, run
from torch._dynamo.utils import counters

TOKENS = HEIGHT * WIDTH // 256


def passes(comfy, monkeypatch) -> list[str]:
    """For each forward pass: whether it ran the `whole` mask stream, `reused` keys, or ran `without` it."""
    seen: list[str] = []
    sampling = comfy.module("nodes.host.sampling")
    original = sampling.tokens_of

    def noted(settings: Any, step: Any, kind: str) -> Any:
        seen.append(kind)
        return original(settings, step, kind)

    monkeypatch.setattr(sampling, "tokens_of", noted)
    return seen


def test_at_their_defaults_no_byte_changes(base, gated, latents) -> None:
    masks = latents(1)
    model, positive, _, _ = gated(base, POSITIVE, masks)
    told, _, _, _ = gated(base, POSITIVE, masks, refresh_every=1, refresh_schedule="dense early", mask_tokens="full")
    assert torch.equal(run(told, positive), run(model, positive))


def test_reuse_skips_the_mask_stream_between_refreshes(base, gated, latents, comfy, monkeypatch) -> None:
    exact, positive, _, _ = gated(base, POSITIVE, latents(1))
    reusing, _, _, gates = gated(base, POSITIVE, latents(1), refresh_every=3)
    expected = run(exact, positive, steps=6)
    seen = passes(comfy, monkeypatch)
    result = run(reusing, positive, steps=6)
    assert seen == ["whole", "reused", "reused"] * 2
    assert len(gates.steps) == 2
    assert not torch.equal(result, expected)
    assert (result - expected).norm() < 0.3 * (run(base, POSITIVE, steps=6) - expected).norm()
    assert torch.equal(run(reusing, positive, steps=6), result)  # nothing is left of a run before


def test_a_run_of_one_interval_starts_exact(base, gated, latents) -> None:
    """The first step is always refreshed, so with one step nothing differs."""
    exact, positive, _, _ = gated(base, POSITIVE, latents(1))
    reusing, _, _, _ = gated(base, POSITIVE, latents(1), refresh_every=4)
    assert torch.equal(run(reusing, positive, steps=1), run(exact, positive, steps=1))


@pytest.mark.parametrize("sampler", ["heun", "dpm_2", "euler"])
def test_samplers_that_call_the_model_twice_per_step(sampler: str, base, gated, latents, comfy, monkeypatch) -> None:
    seen = passes(comfy, monkeypatch)
    model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE, refresh_every=2)
    settings = {"steps": 4, "cfg": 3.0, "sampler": sampler}
    together = run(model, positive, negative, **settings)
    assert together.isfinite().all()
    assert set(seen) == {"whole", "reused"}
    # A negative without the mask has another number of arguments, so ComfyUI runs the two one by one.
    apart = run(model, positive, NEGATIVE, **settings)
    assert apart.isfinite().all()
    assert not torch.allclose(apart, together, atol=1e-3)


def test_two_conditionings_reuse_their_own_keys(base, gated, latents) -> None:
    """With cfg 1 the negative does not count: two runs that differ only in the negative's mask are equal."""
    results = []
    for seed in (2, 3):
        model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2)
        model, negative, _, _ = gated(model, NEGATIVE, latents(seed), refresh_every=2)
        results.append((run(model, positive, negative, steps=3), run(model, positive, negative, steps=3, cfg=3.0)))
    (one, first), (other, second) = results
    assert torch.equal(one, other)
    assert not torch.allclose(first, second, atol=1e-3)


def test_strength_reuses_keys_with_its_bias(base, gated, latents) -> None:
    exact, positive, _, _ = gated(base, POSITIVE, latents(1), strength=0.5)
    reusing, _, _, _ = gated(base, POSITIVE, latents(1), strength=0.5, refresh_every=2)
    plain = run(base, POSITIVE, steps=4)
    expected = run(exact, positive, steps=4)
    assert (run(reusing, positive, steps=4) - expected).norm() < 0.3 * (plain - expected).norm()


def test_kept_keys_that_do_not_fit_are_refused(base, gated, latents, monkeypatch) -> None:
    import comfy.model_management

    model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=4)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *args, **kwargs: 10)
    with pytest.raises(ValueError, match="Set refresh_every to 1"):
        run(model, positive, steps=4)


def test_kept_keys_are_reported_to_comfyui(base, gated, latents, monkeypatch) -> None:
    import comfy.sampler_helpers

    asked: list[list[int]] = []
    original = comfy.sampler_helpers.estimate_memory
    monkeypatch.setattr(
        comfy.sampler_helpers, "estimate_memory", lambda m, shape, c: asked.append(list(shape)) or original(m, shape, c)
    )
    for options in ({}, {"mask_tokens": "half"}, {"refresh_every": 4}):
        model, positive, _, _ = gated(base, POSITIVE, latents(1), **options)
        run(model, positive, steps=2)
    full, half, kept = (shape[-1] - WIDTH // 8 for shape in asked)
    assert full == WIDTH // 8
    assert half == WIDTH // 32
    params = base.model.diffusion_model.params
    own = 2 * (params.depth + params.depth_single_blocks) * TOKENS * params.hidden_size * 4
    column = base.model.memory_required([1, 16, HEIGHT // 8, 1])
    assert kept == full - -own // column


def test_half_the_mask_tokens_per_side(base, gated, latents) -> None:
    full, positive, _, _ = gated(base, POSITIVE, latents(1))
    half, _, _, gates = gated(base, POSITIVE, latents(1), mask_tokens="half")
    expected, plain = run(full, positive), run(base, POSITIVE)
    result = run(half, positive)
    assert gates.steps[0].weights.shape[1] == TOKENS // 4
    assert not torch.allclose(result, expected, atol=1e-3)
    assert not torch.allclose(result, plain, atol=1e-3)


def test_half_refuses_region_prompts(base, gated, latents, comfy) -> None:
    (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=tiny.conditioning(7, tokens=5))
    with pytest.raises(ValueError, match="set mask_tokens to full"):
        gated(base, POSITIVE, latents(1), mask_tokens="half", region_prompts=prompts)


def test_a_time_window_says_what_it_saves(base, gated, latents, caplog) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), end_percent=0.5)
    with caplog.at_level(logging.INFO):
        run(model, positive, steps=4)
    assert "computed in 3 of 4 passes, reused in 0, inactive in 1" in caplog.text
    caplog.clear()
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    with caplog.at_level(logging.INFO):
        run(model, positive, steps=4)
    assert "of the operations" not in caplog.text


def test_an_input_patch_turns_reuse_off(base, gated, latents, caplog) -> None:
    """The patch may expect as many queries as keys."""
    patched = base.clone()
    patched.set_model_patch(lambda q, k, v, pe, attn_mask, extra_options: {"v": v * 0.9}, "attn1_patch")
    exact, positive, _, _ = gated(patched, POSITIVE, latents(1))
    reusing, _, _, _ = gated(patched, POSITIVE, latents(1), refresh_every=2)
    assert torch.equal(run(reusing, positive, steps=3), run(exact, positive, steps=3))
    assert "refresh_every has no effect" in caplog.text


BACKENDS = ("attention_basic", "attention_split", "attention_sub_quad", "attention_pytorch")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("strength", [0.4, 1.7])
def test_every_backend_takes_a_bias_for_each_stream(strength: float, backend: str, comfy, monkeypatch) -> None:
    """Each of ComfyUI's attention functions gives the result of a dense mask."""
    attention, blocks = comfy.module("mogle_core.model.stream.attention"), comfy.module("nodes.host.blocks")
    monkeypatch.setattr(host_math, "optimized_attention", getattr(host_attention, backend))
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 40, 16, generator=generator) for _ in range(3))
    mask = attention.who_sees_whom(None, 24, 16, attention.StreamOptions(strength=strength), q)
    attend = blocks.attention(None, {})
    torch.testing.assert_close(attend(q, k, v, None, mask), attend(q, k, v, None, mask.dense(q)), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        attend(q[:, :, :24], k, v, None, mask), attend(q, k, v, None, mask.dense(q))[:, :24], atol=1e-5, rtol=0
    )


def test_a_compiled_model_reuses_keys(base, gated, latents, compiling) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2)
    expected = run(model, positive, steps=4)
    compiling(model)
    torch.testing.assert_close(run(model, positive, steps=4), expected, atol=1e-5, rtol=0)


def test_a_compiled_step_with_a_mask_is_one_graph(base, gated, latents, compiling) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    compiling(model)
    counters.clear()
    run(model, positive, batch=2)
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 1
