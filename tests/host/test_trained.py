"""The nodes load, apply and sample with a file that the trainer wrote."""

from __future__ import annotations

from pathlib import Path

import torch
from support import tiny

from mogle_core.masks.decouple import decode_image
from mogle_core.toy.install import EXAMPLE_MASK, install
from mogle_core.toy.world import load_world
from mogle_core.training.config.reading import TrainingConfig
from mogle_core.training.data.draws import generator
from mogle_core.training.result import write_result
from mogle_core.training.start import fresh_lora, fresh_network

NAME = "trained.safetensors"


def write(folders: list[Path]) -> None:
    """A file like the result of a run, with a LoRA that has an effect."""
    lora = fresh_lora(load_world().flux, 4, generator(0, "lora", 0))
    for number, parameter in enumerate(lora.parameters()):
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(0, "moved", number))
    config = TrainingConfig.model_validate({"data": {"resolution": 128}})
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        write_result(folder / NAME, fresh_network(None, 0), lora, config, 40, "data")


def test_the_nodes_take_the_trainers_file(comfy) -> None:
    from PIL import Image

    install(comfy.base, force=True)
    write([comfy.base / "models/mogle", comfy.base / "models/loras"])
    (model,) = comfy.node("UNETLoader")(unet_name="toy_flux.safetensors", weight_dtype="default")
    (vae,) = comfy.node("VAELoader")(vae_name="toy_vae.safetensors")
    (positive,) = comfy.node("MoGLEToyPrompt")(text="a face")
    (mogle,) = comfy.node("MoGLELoader")(mogle_name=NAME)
    assert mogle.recipe.gate_timestep == "training"
    masks = comfy.module("mogle_core.masks.decouple").Decoupled(decode_image(Image.open(EXAMPLE_MASK)).ids)
    latents = comfy.node("MoGLEEncode")(masks=masks, vae=vae, width=0, height=0)[0]
    (patched,) = comfy.node("MoGLELoRAApply")(model=model, lora_name=NAME)
    patched, gated, _, gates = comfy.node("MoGLEGatedCondition")(
        model=patched, positive=positive, mogle=mogle, mask_latents=latents
    )
    made, plain = (
        tiny.sample(one, condition, None, tiny.empty_latent(128, 128), seed=0, steps=2)
        for one, condition in ((patched, gated), (model, positive))
    )
    assert torch.isfinite(made).all() and not torch.equal(made, plain)
    assert len(gates.steps) == 2
