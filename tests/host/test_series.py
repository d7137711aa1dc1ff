"""Several Gated Conditions on one graph: the last one holds for everything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.masked import NEGATIVE, POSITIVE, run


@pytest.fixture
def prompted(comfy) -> Any:
    return comfy.node("MoGLERegionPrompt")(region="skin", conditioning=NEGATIVE, strength=2.0)[0]


def test_strength_zero_on_the_last_is_plain_flux_to_the_byte(base, gated, latents, prompted) -> None:
    plain = run(base, POSITIVE, NEGATIVE, cfg=2.0)
    model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE, region_prompts=prompted)
    assert not torch.allclose(run(model, positive, negative, cfg=2.0), plain, atol=1e-3)
    off, off_positive, off_negative, _ = gated(model, positive, latents(1), negative=negative, strength=0.0)
    assert torch.equal(run(off, off_positive, off_negative, cfg=2.0), plain)
    # The first one's outputs are as they were.
    assert not torch.allclose(run(model, positive, negative, cfg=2.0), plain, atol=1e-3)


def test_the_last_ones_mask_and_texts_replace_those_before(base, gated, latents, prompted) -> None:
    alone, alone_positive, _, _ = gated(base, POSITIVE, latents(2), strength=0.7)
    model, positive, _, _ = gated(base, POSITIVE, latents(1), region_prompts=prompted)
    model, positive, _, _ = gated(model, positive, latents(2), strength=0.7)
    assert torch.equal(run(model, positive), run(alone, alone_positive))


def test_a_third_takes_it_up_again(base, gated, latents) -> None:
    alone, alone_positive, _, _ = gated(base, POSITIVE, latents(2))
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    model, positive, _, _ = gated(model, positive, latents(1), lora=None, strength=0.0)
    model, positive, _, _ = gated(model, positive, latents(2), lora=None)
    assert torch.equal(run(model, positive), run(alone, alone_positive))


def test_a_combined_files_lora_goes_with_its_gated_condition(base, gated, latents, comfy, models_folder) -> None:
    """And LoRA Apply's stays."""
    host = comfy.module("nodes.host")
    files = comfy.module("mogle_core.model.checkpoints.files")
    path = str(models_folder / "mogle/global_local_mask_moe.pt")
    lora = files.read_lora(str(models_folder / "loras/pytorch_lora_weights.safetensors")).lora
    plain = host.load_mogle(path, "auto")
    combined = host.LoadedMoGLE(plain.patcher, lora, plain.recipe, plain.gate_timestep, path)
    first = host.attach(base, combined, host.MaskSettings())
    passes = comfy.module("nodes.host.passes")
    assert first.get_additional_models_with_key(passes.FILES_LORA)
    assert not host.attach(first, plain, host.MaskSettings()).get_additional_models_with_key(passes.FILES_LORA)
    applied = host.attach_lora(first, lora, 1.0, path)
    assert host.attach(applied, plain, host.MaskSettings()).get_additional_models_with_key(passes.LORA)


def test_a_schedule_of_ones_changes_no_byte(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), strength=0.7)
    same, _, _, _ = gated(base, POSITIVE, latents(1), strength=0.7, strength_schedule=[1.0, 1.0])
    assert torch.equal(run(same, positive), run(model, positive))


def test_a_schedule_holds_step_by_step(base, gated, latents) -> None:
    """As a time window does, with 0 outside of it; one number is the strength."""
    window, positive, _, gates = gated(base, POSITIVE, latents(1), end_percent=0.5)
    expected = run(window, positive, steps=4)
    factors = [1.0 if number < len(gates.steps) else 0.0 for number in range(4)]
    model, _, _, _ = gated(base, POSITIVE, latents(1), strength_schedule=factors)
    assert torch.equal(run(model, positive, steps=4), expected)
    half, _, _, _ = gated(base, POSITIVE, latents(1), strength=0.5)
    model, _, _, _ = gated(base, POSITIVE, latents(1), strength_schedule=0.5)
    assert torch.equal(run(model, positive), run(half, positive))


@pytest.mark.parametrize(
    ("values", "steps", "expected"),
    [
        ((1.0, 0.0), 3, [1.0, 0.5, 0.0]),
        ((2.0,), 3, [2.0] * 3),
        ((1.0, 0.5, 0.0), 3, [1.0, 0.5, 0.0]),
        ((1.0, 0.0), 1, [1.0]),
    ],
)
def test_a_schedule_is_spread_over_the_steps(values, steps, expected, comfy) -> None:
    spread = comfy.module("nodes.host.runs").spread
    assert [spread(values, number, steps) for number in range(steps)] == expected


def test_a_schedule_below_zero_is_a_sentence(base, gated, latents) -> None:
    with pytest.raises(ValueError, match="strength_schedule has numbers of 0 and above; -1.0"):
        gated(base, POSITIVE, latents(1), strength_schedule=[1.0, -1.0])


def test_strength_by_blocks_at_its_default_changes_no_byte(base, gated, latents) -> None:
    for strength in (1.0, 0.7):
        model, positive, _, _ = gated(base, POSITIVE, latents(1), strength=strength)
        same, _, _, _ = gated(base, POSITIVE, latents(1), strength=strength, double_strength=1.0, single_strength=1.0)
        assert torch.equal(run(same, positive), run(model, positive))


def test_strength_by_blocks_is_a_factor_in_each_kind(base, gated, latents) -> None:
    """Both together are the strength; one of them is neither of the two; both at 0 are plain FLUX to the byte."""

    def picture(**strengths: float) -> torch.Tensor:
        model, positive, _, _ = gated(base, POSITIVE, latents(1), **strengths)
        return run(model, positive)

    whole, half = picture(), picture(strength=0.5)
    assert torch.equal(picture(double_strength=0.5, single_strength=0.5), half)
    for kind in ("double_strength", "single_strength"):
        part = picture(**{kind: 0.5})
        assert not torch.allclose(part, whole, atol=1e-4) and not torch.allclose(part, half, atol=1e-4)
        assert not torch.allclose(picture(**{kind: 0.0}), part, atol=1e-4)
    assert torch.equal(picture(double_strength=0.0, single_strength=0.0), run(base, POSITIVE))


def test_missing_sockets_are_a_sentence(base, comfy) -> None:
    with pytest.raises(ValueError, match="connect mogle to Load MoGLE and mask_latents to MoGLE Encode"):
        comfy.node("MoGLEGatedCondition")(model=base, positive=POSITIVE)


def test_encode_hands_on_a_latent_of_the_masks_size(comfy, vae) -> None:
    from support.masked import mask_ids

    masks = comfy.module("mogle_core.masks.decouple").Decoupled(mask_ids(3, batch=2))
    encoded, latent = comfy.node("MoGLEEncode")(masks=masks, vae=vae, width=0, height=0)
    assert latent["samples"].shape == (2, 16, *encoded.latents.shape[-2:]) and not latent["samples"].any()
    given = {"samples": torch.ones(1, 16, 8, 8)}
    assert comfy.node("MoGLEEncode")(masks=masks, vae=vae, width=0, height=0, latent=given)[1] is given
