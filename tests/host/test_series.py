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
