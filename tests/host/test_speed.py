"""Gated Condition's speed options in real sampling: no effect by default, and the promised effect otherwise."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import comfy.ldm.flux.math as host_math
import comfy.ldm.modules.attention as host_attention
import comfy.model_management as management
import pytest
import torch
from support import tiny
from support.host_memory import asked_shapes, stored_bytes
from support.masked import HEIGHT, NEGATIVE, POSITIVE, TOKENS, WIDTH, run
from torch._dynamo.utils import counters


def passes(comfy, monkeypatch) -> list[str]:
    """For each forward pass: whether it ran the `whole` mask stream, `reused` keys, or ran `without` it."""
    seen: list[str] = []
    sampling = comfy.module("nodes.host.sampling")
    original = sampling.tokens_of

    def noted(settings: Any, step: Any, kind: str, *more: Any) -> Any:
        seen.append(kind)
        return original(settings, step, kind, *more)

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


def test_kept_keys_are_reported_to_comfyui(base, gated, latents, comfy, monkeypatch) -> None:
    asked = asked_shapes(monkeypatch)

    def columns(**options: Any) -> int:
        """How many more columns than the picture's are reported."""
        model, positive, _, _ = gated(base, POSITIVE, latents(1), **options)
        run(model, positive, steps=2)
        return asked[-1][-1] - WIDTH // 8

    full = columns()
    assert full == WIDTH // 8
    assert columns(mask_tokens="half") == WIDTH // 32
    column, stored = base.model.memory_required([1, 16, HEIGHT // 8, 1]), stored_bytes(comfy, monkeypatch)
    reported = columns(refresh_every=4)
    total, block = sum(stored), stored[0]
    assert reported == full - -total // column
    assert columns(refresh_every=0) == reported
    assert columns(refresh_schedule="adaptive") == reported
    assert columns(refresh_every=4, key_storage="fp8") == full - -(total // 4) // column
    assert columns(refresh_every=4, key_storage="host memory") == full - -2 * block // column


def test_once_a_run(base, gated, latents, comfy, monkeypatch) -> None:
    exact, positive, _, _ = gated(base, POSITIVE, latents(1))
    once, _, _, _ = gated(base, POSITIVE, latents(1), refresh_every=0)
    expected = run(exact, positive, steps=5)
    seen = passes(comfy, monkeypatch)
    result = run(once, positive, steps=5)
    assert seen == ["whole"] + ["reused"] * 4
    assert not torch.equal(result, expected)
    assert (result - expected).norm() < 0.5 * (run(base, POSITIVE, steps=5) - expected).norm()


def test_early_then_once(base, gated, latents, comfy, monkeypatch) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_schedule="early, then once")
    seen = passes(comfy, monkeypatch)
    run(model, positive, steps=6)
    assert seen == ["whole"] * 3 + ["reused"] * 3


@pytest.mark.parametrize(("threshold", "whole"), [(0.0, 5), (1e9, 1)])
def test_adaptive_asks_how_far_the_tokens_moved(
    threshold: float, whole: int, base, gated, latents, comfy, monkeypatch
) -> None:
    refresh = comfy.module("mogle_core.model.stream.refresh")
    monkeypatch.setattr(refresh.Refresh, "stale", lambda self, before, after: refresh.moved(before, after) > threshold)
    exact, positive, _, _ = gated(base, POSITIVE, latents(1))
    expected = run(exact, positive, steps=5)
    seen = passes(comfy, monkeypatch)
    model, _, _, gates = gated(base, POSITIVE, latents(1), refresh_schedule="adaptive")
    result = run(model, positive, steps=5)
    assert seen.count("whole") == whole
    assert len(gates.steps) == 5  # the gate runs at every step
    assert torch.equal(result, expected) is (whole == 5)


# --- How kept keys are stored, and who may take them back.


def test_keys_in_host_memory_make_the_same_picture(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2)
    hosted, _, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2, key_storage="host memory")
    assert torch.equal(run(hosted, positive, steps=4), run(model, positive, steps=4))


def test_keys_in_eight_bits_make_nearly_the_same_picture(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2)
    narrow, _, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2, key_storage="fp8")
    expected, result = run(model, positive, steps=4), run(narrow, positive, steps=4)
    assert not torch.equal(result, expected)
    assert (result - expected).norm() < 0.05 * (run(base, POSITIVE, steps=4) - expected).norm()


def lent_keys() -> list[Any]:
    """The kept keys among the models that ComfyUI may unload."""
    loaded = management.current_loaded_models
    return [one for one in loaded if type(one.model).__name__ == "KeysPatcher"]


@pytest.mark.parametrize("partially", [True, False])
def test_comfyui_may_take_kept_keys_back(partially: bool, base, gated, latents, comfy, monkeypatch) -> None:
    """Before the fourth of six steps: that step makes them again, and the picture is the one of a refresh there."""
    sampling, sizes = comfy.module("nodes.host.sampling"), []
    original, models = sampling.mask_pass, management.current_loaded_models

    def interrupted(settings: Any, run: Any, step: Any) -> Any:
        if len(run.passes) == 3:
            (keys,) = lent_keys()
            sizes.extend((keys.model_memory(), keys.model_loaded_memory()))
            if partially:
                keys.model.partially_unload(keys.model.offload_device, 1)
            else:
                models.remove(keys)
                keys.model_unload()
            sizes.append(keys.model_memory())
        return original(settings, run, step)

    every_third, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=3)
    expected = run(every_third, positive, steps=6)
    once, _, _, _ = gated(base, POSITIVE, latents(1), refresh_every=0)
    stored = stored_bytes(comfy, monkeypatch)
    monkeypatch.setattr(sampling, "mask_pass", interrupted)
    seen = passes(comfy, monkeypatch)
    result = run(once, positive, steps=6)
    assert seen == ["whole", "reused", "reused"] * 2
    assert torch.equal(result, expected)
    assert sizes == [sum(stored) // 2, sum(stored) // 2, 0]
    assert lent_keys() == []


def test_a_run_leaves_no_keys_behind(base, gated, latents, caplog) -> None:
    model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE, refresh_every=2)
    run(model, positive, negative, steps=3, cfg=2.0)
    assert lent_keys() == []
    assert "memory leak" not in caplog.text


class Elsewhere:
    """A batch of a tensor on a device that is not there."""

    def __init__(self, batch: int, device: str) -> None:
        self.batch, self.device = batch, torch.device(device)

    def __len__(self) -> int:
        return self.batch


def test_on_a_card_without_room_keys_wait_in_host_memory(comfy, base, caplog, monkeypatch) -> None:
    kept_keys, runs = comfy.module("nodes.host.kept_keys"), comfy.module("nodes.host.runs")
    forms, free = comfy.module("mogle_core.model.stream.key_forms"), {"cuda": 10, "cpu": 2**40}
    monkeypatch.setattr(management, "get_free_memory", lambda device, *_: free[device.type])
    step = SimpleNamespace(model=base.model, x=Elsewhere(1, "cuda"), grid=(2, 2), batch="one")

    def form() -> Any:
        return kept_keys._new_keys(runs.MaskSettings(), runs.Run(), step).form

    with caplog.at_level(logging.INFO):
        assert form() == forms.KeyForm(host=True)
    assert "host memory, for cuda has no room" in caplog.text
    free["cuda"] = 2**40
    assert form() == forms.KeyForm()
    free["cuda"] = free["cpu"] = 10
    with pytest.raises(ValueError, match="are free on cpu"):
        form()


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
    assert "refresh_every and refresh_schedule have no effect" in caplog.text


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
