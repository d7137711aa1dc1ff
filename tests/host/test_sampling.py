"""Identities in real sampling runs: LoRAs, options, records, compiled and quantised models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import tiny
from support.masked import NEGATIVE, POSITIVE, TOKENS, as_file, run
from support.small_weights import TINY, lora_weights
from support.waits import waits_in


def test_queueing_twice_gives_the_same(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    assert torch.equal(run(model, positive, seed=5), run(model, positive, seed=5))
    rebuilt, positive, _, _ = gated(tiny.golden_flux(), POSITIVE, latents(1))
    assert torch.equal(run(model, positive, seed=5), run(rebuilt, positive, seed=5))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_users_lora_alongside_ours(when: str, base, gated, latents) -> None:
    """It acts on the base weights, as if it were part of the model."""
    style = lora_weights(TINY, seed=3, rank=2)
    if when == "before":
        model, positive, _, _ = gated(tiny.with_lora(base, style, 0.8), POSITIVE, latents(1))
    else:
        model, positive, _, _ = gated(base, POSITIVE, latents(1))
        model = tiny.with_lora(model, style, 0.8)
    styled = run(model, positive)
    unstyled, positive, _, _ = gated(base, POSITIVE, latents(1))
    assert not torch.allclose(styled, run(unstyled, positive), atol=1e-3)

    merged = tiny.with_lora(tiny.golden_flux(), style, 0.8)
    merged.patch_model()  # the weights as a file with the style merged in would hold them
    weights = {name: tensor.clone() for name, tensor in merged.model.diffusion_model.state_dict().items()}
    expected, positive, _, _ = gated(tiny.tiny_flux(as_file(weights)), POSITIVE, latents(1))
    torch.testing.assert_close(styled, run(expected, positive), atol=1e-4, rtol=0)


def test_lora_strength(base, gated, latents) -> None:
    full, half, none = (run(*gated(base, POSITIVE, latents(1), lora=s)[:2]) for s in (1.0, 0.5, 0.0))
    assert not torch.allclose(full, half, atol=1e-4)
    without = run(*gated(base, POSITIVE, latents(1), lora=None)[:2])
    torch.testing.assert_close(none, without, atol=1e-5, rtol=0)


def test_lora_apply_after_gated_condition_is_the_same(base, gated, latents, comfy) -> None:
    before, positive, _, _ = gated(base, POSITIVE, latents(1))
    after, _, _, _ = gated(base, POSITIVE, latents(1), lora=None)
    (after,) = comfy.node("MoGLELoRAApply")(model=after, lora_name="pytorch_lora_weights.safetensors", strength=1.0)
    assert torch.equal(run(before, positive), run(after, positive))


def test_separate_calls_give_the_same(base, gated, latents) -> None:
    joint, positive, _, _ = gated(base, POSITIVE, latents(1))
    separate, _, _, _ = gated(base, POSITIVE, latents(1), separate_calls=True)
    torch.testing.assert_close(run(joint, positive), run(separate, positive), atol=1e-5, rtol=0)


def test_mask_guidance_is_the_mask_streams_alone(base, gated, latents) -> None:
    given, positive, _, _ = gated(base, POSITIVE, latents(1))
    one, _, _, _ = gated(base, POSITIVE, latents(1), mask_guidance="1")
    assert not torch.equal(run(given, positive), run(one, positive))
    unguided = tiny.conditioning(1, guidance=1.0)
    given, positive, _, _ = gated(base, unguided, latents(1))
    one, _, _, _ = gated(base, unguided, latents(1), mask_guidance="1")
    assert torch.equal(run(given, positive), run(one, positive))


def test_gates_record_every_step(base, gated, latents) -> None:
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    for _ in range(2):  # the second run replaces the first
        run(model, positive, steps=5)
        assert len(gates.steps) == 5
    for step in gates.steps:
        assert step.weights.shape == (1, TOKENS, 20)
        torch.testing.assert_close(step.weights.sum(-1), torch.ones(1, TOKENS))


def test_experts_and_modulations_are_computed_once_a_run(base, gated, latents, comfy, monkeypatch) -> None:
    passes, network = comfy.module("nodes.host.passes"), comfy.module("mogle_core.model.mixture.network")
    calls: list[str] = []
    counted_calls = [(passes, "mask_modulations"), (network.MoGLE, "expert_outputs"), (network.MoGLE, "gate_weights")]
    for owner, name in counted_calls:
        original = getattr(owner, name)

        def counted(*args: Any, original=original, name=name, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    run(model, positive, steps=6)
    assert calls.count("mask_modulations") == calls.count("expert_outputs") == 1
    assert calls.count("gate_weights") == 6


def test_no_step_waits_for_the_device(base, gated, latents) -> None:
    def waits(steps: int, **inputs: Any) -> list[str]:
        model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE, **inputs)
        return waits_in(lambda: run(model, positive, negative, steps=steps, cfg=2.0))

    assert waits(5) == waits(2)
    assert len(waits(2, end_percent=0.5)) >= 2  # a time window asks each step for its sigma


@pytest.mark.parametrize("when", ["before", "after"])
def test_torch_compile(when: str, base, gated, latents, compiling) -> None:
    expected = {}
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    expected["masked"], expected["plain"] = run(model, positive), run(base, POSITIVE)

    compiled = base.clone()
    if when == "before":
        compiling(compiled)
        run(compiled, POSITIVE)  # so that a plain pass is compiled first
        compiled, positive, _, _ = gated(compiled, POSITIVE, latents(1))
    else:
        compiled, positive, _, _ = gated(compiled, POSITIVE, latents(1))
        compiling(compiled)
    torch.testing.assert_close(run(compiled, positive), expected["masked"], atol=1e-5, rtol=0)
    torch.testing.assert_close(run(compiled, POSITIVE), expected["plain"], atol=1e-5, rtol=0)
    torch.testing.assert_close(run(compiled, positive), expected["masked"], atol=1e-5, rtol=0)


def test_fp8_weights(gated, latents) -> None:
    """The result is close to that of the same weights in float32. test_oracle checks it exactly."""
    full = tiny.golden_flux()
    rounded = {name: t.to(torch.float8_e4m3fn).float() for name, t in full.model.diffusion_model.state_dict().items()}
    expected, positive, _, _ = gated(tiny.tiny_flux(as_file(rounded)), POSITIVE, latents(1))
    fp8 = tiny.golden_flux(dtype=torch.float8_e4m3fn, compute=torch.float32)
    model, _, _, _ = gated(fp8, POSITIVE, latents(1))
    torch.testing.assert_close(run(model, positive), run(expected, positive), atol=1e-4, rtol=0)
