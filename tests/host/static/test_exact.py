"""Sampling with a static checkpoint: stored keys give the same result as computing the mask stream at every step.

If they would not, the stream does run at every step. A checkpoint for another base is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.hooks
import pytest
import torch
from support import tiny
from support.masked import MERGEABLE, NEGATIVE, POSITIVE, REGION, TOKENS, run
from support.small_weights import lora_weights


@pytest.fixture
def assert_exact(every_step) -> Callable[[Callable[[], torch.Tensor]], torch.Tensor]:
    """assert_exact(sample) samples at every step and with stored keys, compares the two, and returns the second."""

    def check(sample: Callable[[], torch.Tensor]) -> torch.Tensor:
        every_step(True)
        expected = sample()
        every_step(False)
        result = sample()
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)
        return result

    return check


@pytest.mark.parametrize(
    ("inputs", "settings"),
    [
        ({}, {}),
        ({"strength": 0.6}, {}),
        ({"mask_tokens": "half"}, {}),
        ({}, {"batch": 2}),
        ({"negative": NEGATIVE}, {"cfg": 3.0}),
        ({"end_percent": 0.5}, {}),
        ({"mask_guidance": "1"}, {"sampler": "heun"}),
        ({"key_storage": "host memory"}, {}),
    ],
    ids=str,
)
def test_kept_keys_are_those_of_every_step(inputs, settings, base, static, latents, assert_exact, empty_store) -> None:
    model, positive, negative, _ = static(base, POSITIVE, latents(1), **inputs)
    given = negative if "negative" in inputs else None
    result = assert_exact(lambda: run(model, positive, given, **settings))
    assert empty_store.made == 1
    assert not torch.allclose(result, run(base, POSITIVE, NEGATIVE, **settings), atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2])
def test_merged_tokens_beside_kept_keys(batch, base, scene, static, assert_exact, empty_store) -> None:
    model, positive, _, _ = static(base, POSITIVE, scene.encoded(torch.cat(MERGEABLE[:batch])), mask_tokens="merged")
    assert_exact(lambda: run(model, positive, batch=2))
    assert empty_store.made == 1
    (kept,) = empty_store.sets()
    assert kept["double_blocks.0"][0].shape[:3:2] == (batch, TOKENS - 6 if batch == 1 else TOKENS - 3)


def test_regions_that_begin_later_have_keys_of_their_own(
    base, static, latents, assert_exact, empty_store, comfy
) -> None:
    (regions,) = comfy.node("MoGLERegions")(**{**REGION, "start_percent": 0.4})
    model, positive, _, _ = static(base, POSITIVE, latents(1), regions=regions)
    assert_exact(lambda: run(model, positive, steps=4))
    assert empty_store.made == 2


def test_region_prompts_beside_kept_keys(base, static, latents, assert_exact, comfy) -> None:
    (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=tiny.conditioning(7, tokens=5))
    model, positive, _, _ = static(base, POSITIVE, latents(1), region_prompts=prompts)
    assert_exact(lambda: run(model, positive))


@pytest.mark.parametrize("mask_tokens", ["full", "merged"])
def test_control_nets_references_and_areas_beside_kept_keys(mask_tokens, base, static, scene, assert_exact) -> None:
    entry = {"reference_latents": [torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(4))]}
    positive = [[POSITIVE[0][0], {**POSITIVE[0][1], **entry, "control": tiny.residuals(TOKENS)}]]
    positive += [[NEGATIVE[0][0], {**NEGATIVE[0][1], "area": (8, 6, 0, 4)}]]
    model, positive, _, _ = static(base, positive, scene.encoded(MERGEABLE[0]), mask_tokens=mask_tokens)
    assert_exact(lambda: run(model, positive))


def disturbances(model: Any) -> dict[str, Any]:
    """Copies of the model, each with one change to its attention, by the name that the warning gives this change."""

    def patched(put: Callable[[Any], None]) -> Any:
        changed = model.clone()
        put(changed)
        return changed

    def passed_on(args: Any, extra: Any) -> Any:
        return extra["original_block"](args)

    def attention(function: Any, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def override(changed: Any) -> None:
        changed.model_options["transformer_options"]["optimized_attention_override"] = attention

    return {
        "attn1_output_patch": patched(lambda m: m.set_model_patch(lambda out, options: out, "attn1_output_patch")),
        "attn1_patch": patched(
            lambda m: m.set_model_patch(lambda q, k, v, pe, attn_mask, extra_options: {}, "attn1_patch")
        ),
        "replaced blocks": patched(lambda m: m.set_model_patch_replace(passed_on, "dit", "double_block", 0)),
        "in the place of attention": patched(override),
    }


@pytest.mark.parametrize("name", ["attn1_output_patch", "attn1_patch", "replaced blocks", "in the place of attention"])
def test_the_stream_runs_at_every_step_where_others_reach_in(
    name: str, base, static, latents, seen, caplog, empty_store
) -> None:
    model, positive, _, _ = static(disturbances(base)[name], POSITIVE, latents(1))
    run(model, positive, steps=2)
    assert seen.count(TOKENS) == 4  # image and mask, each twice
    assert empty_store.made == 0
    assert name in caplog.text


def test_the_stream_runs_at_every_step_where_hooks_change_the_weights(
    base, static, latents, caplog, empty_store
) -> None:
    lora = comfy.hooks.create_hook_lora(lora_weights(seed=5), 1.0, 0.0)
    model, positive, _, _ = static(base, comfy.hooks.set_hooks_for_conditioning(POSITIVE, lora), latents(1))
    run(model, positive, NEGATIVE, steps=2)
    assert empty_store.made == 0
    assert "hooks that change the weights" in caplog.text


def test_gate_maps_see_the_gate_at_every_step(base, static, latents, scene, comfy, monkeypatch) -> None:
    monkeypatch.setattr(comfy.module("nodes.host"), "asks_for_gates", lambda *args: True)
    model, positive, _, gates = static(base, POSITIVE, latents(1))
    run(model, positive, steps=3)
    assert len(gates.steps) == 3


def test_a_checkpoint_for_another_base_is_refused(base, static, latents, comfy, scene, file) -> None:
    files = comfy.module("mogle_core.model.checkpoints.files")
    found = files.read(file)
    recipe = found.recipe.__class__(options=found.recipe.options, pooled=torch.ones(7), stream="static")
    files.save(file.with_name("narrow.safetensors"), found.network, found.lora, recipe)
    (mogle,) = comfy.node("MoGLELoader")(mogle_name="narrow.safetensors")
    with pytest.raises(ValueError, match="pooled vector has 7 numbers; this model takes 24"):
        comfy.node("MoGLEGatedCondition")(
            model=base, positive=POSITIVE, mogle=mogle, mask_latents=latents(1), strength=1.0
        )
