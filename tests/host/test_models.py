"""Models that cannot take the mask stream are refused. The message says what they are and what to use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.model_base
import comfy.model_patcher
import comfy.supported_models
import pytest
import torch
from support import tiny
from support.small_weights import TINY, FluxSizes, flux_weights, mask_lora_weights

CPU = torch.device("cpu")


def patched(model: Any) -> Any:
    return comfy.model_patcher.ModelPatcher(model, load_device=CPU, offload_device=CPU)


def stable_diffusion() -> Any:
    outline = comfy.supported_models.SD15({"disable_unet_model_creation": True})
    outline.unet_config.update(outline.unet_extra_config)
    outline.set_inference_dtype(torch.float32, None)
    return patched(comfy.model_base.BaseModel(outline))


def flux2() -> Any:
    """The mark of FLUX.2: one modulation for all blocks, none in the blocks."""
    model = tiny.tiny_flux()
    model.model.diffusion_model.params.global_modulation = True
    for block in model.model.diffusion_model.double_blocks:
        del block.img_mod
    return model


def fill() -> Any:
    weights = flux_weights(TINY)
    model = tiny.tiny_flux(weights)
    model.model.diffusion_model.img_in = torch.nn.Linear(384, TINY.hidden)
    return model


def other_engine() -> Any:
    """nunchaku's wrapper: ComfyUI's FLUX around another transformer, without blocks."""
    model = tiny.tiny_flux()
    model.model.diffusion_model = type("ComfyFluxWrapper", (torch.nn.Module,), {})()
    return model


def chroma() -> Any:
    model = tiny.tiny_flux()
    model.model.__class__ = comfy.model_base.Chroma
    for block in model.model.diffusion_model.double_blocks:
        del block.img_mod
    return model


OTHERS = {
    stable_diffusion: "This model is BaseModel, not FLUX.1",
    flux2: "FLUX.2's family",
    fill: "takes 96 latent channels",
    other_engine: "run by another engine .ComfyFluxWrapper",
    chroma: "Chroma",
}


@pytest.mark.parametrize("make", OTHERS, ids=lambda make: make.__name__)
def test_other_models_are_refused_with_what_they_are(make, comfy, models_folder) -> None:
    model = make()
    with pytest.raises(ValueError, match=OTHERS[make]) as by_lora:
        comfy.node("MoGLELoRAApply")(model=model, lora_name="pytorch_lora_weights.safetensors")
    assert "LoRA Apply works with FLUX.1" in str(by_lora.value)
    (mogle,) = comfy.node("MoGLELoader")(mogle_name="global_local_mask_moe.pt")
    masks = comfy.module("mogle_core.model.mixture.mask_latents").MaskLatents(torch.zeros(1, 20, 16, 8, 8))
    with pytest.raises(ValueError, match="Gated Condition works with FLUX.1"):
        comfy.node("MoGLEGatedCondition")(model=model, positive=tiny.conditioning(1), mogle=mogle, mask_latents=masks)


def test_a_lora_for_more_blocks_is_refused(comfy) -> None:
    parse = comfy.module("mogle_core.model.stream.lora").parse
    deeper = parse(mask_lora_weights(FluxSizes(double=3)))
    with pytest.raises(ValueError, match=r"acts on double_blocks.2.* \(2 double and 3 single blocks\)"):
        comfy.module("nodes.host.models").check_lora(tiny.tiny_flux().model.diffusion_model, deeper)


def test_a_checkpoint_with_latent_lora_is_refused(comfy) -> None:
    host, attention = comfy.module("nodes.host"), comfy.module("mogle_core.model.stream.attention")
    settings = host.MaskSettings(options=attention.StreamOptions(latent_lora=True))
    with pytest.raises(ValueError, match="trained with `latent_lora`"):
        host.attach(tiny.tiny_flux(), None, settings)


def test_latents_of_other_kinds_are_refused(comfy) -> None:
    masks = SimpleNamespace(width=64, height=64)
    with pytest.raises(ValueError, match=r"a latent of shape \(1, 16, 5, 8, 8\)"):
        comfy.node("MoGLEEncode")(masks=masks, vae=None, latent={"samples": torch.zeros(1, 16, 5, 8, 8)})
