"""The embedded toy world in a real ComfyUI: installed with the command, and with the same images as without ComfyUI."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import tiny
from support.comfy_server import Server
from support.templates import template
from support.workflows import Nodes, as_prompt, read
from torch import Tensor

from mogle_core.masks.decouple import decode_image
from mogle_core.model.flux_latents import pack
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.toy.install import EXAMPLE_MASK, install
from mogle_core.toy.world import World, encode_masks, generate, load_world, noise_of, sample

WORKFLOW = template("Mask and text")
PROMPT = "A woman with long straight red hair in a green dress in front of a blue background."
STEPS, SEED = 8, 3


@pytest.fixture(scope="module")
def world() -> World:
    return load_world()


@pytest.fixture(scope="module")
def ids() -> Tensor:
    return decode_image(Image.open(EXAMPLE_MASK)).ids


@pytest.fixture(scope="module")
def models(comfy) -> tuple[Any, Any]:
    """The model of the stock loaders, with the noise schedule of the command, and the VAE."""
    install(comfy.base, force=True)  # other tests put a judge of their own there
    (model,) = comfy.node("UNETLoader")(unet_name="toy_flux.safetensors", weight_dtype="default")
    (vae,) = comfy.node("VAELoader")(vae_name="toy_vae.safetensors")
    (model,) = comfy.node("ModelSamplingFlux")(model=model, width=128, height=128)
    return model, vae


@pytest.fixture(scope="module")
def mask_latents(comfy, models, ids: Tensor) -> Any:
    masks = comfy.module("mogle_core.masks.decouple").Decoupled(ids)
    return comfy.node("MoGLEEncode")(masks=masks, vae=models[1], width=0, height=0)[0]


def sampled(model: Any, positive: list) -> Tensor:
    """The latent in the space of the model."""
    latent = tiny.sample(model, positive, None, tiny.empty_latent(128, 128), seed=SEED, steps=STEPS)
    return model.model.process_latent_in(latent)


def test_text_is_encoded_alike(comfy, world: World) -> None:
    (((context, entry),),) = comfy.node("MoGLEToyPrompt")(text=PROMPT, guidance=1.5)
    expected = world.text.encode([PROMPT])
    torch.testing.assert_close((context, entry["pooled_output"]), expected, atol=1e-5, rtol=0)
    assert entry["guidance"] == 1.5


def test_masks_are_encoded_alike(mask_latents, world: World, ids: Tensor) -> None:
    torch.testing.assert_close(mask_latents.latents, encode_masks(world, ids), atol=1e-3, rtol=0)


def test_the_base_model_samples_alike(comfy, models, world: World) -> None:
    (positive,) = comfy.node("MoGLEToyPrompt")(text=PROMPT)
    ours = sample(world, None, world.text.encode([PROMPT]), noise_of([SEED], 128, 128), SamplingOptions(STEPS))
    torch.testing.assert_close(sampled(models[0], positive), ours, atol=1e-3, rtol=0)


def test_the_mask_acts_alike(comfy, models, mask_latents, world: World, ids: Tensor) -> None:
    """With the same weights, mask, prompt, noise and sigmas, through all nodes and through the core."""
    (positive,) = comfy.node("MoGLEToyPrompt")(text=PROMPT)
    (mogle,) = comfy.node("MoGLELoader")(mogle_name="toy_mogle.safetensors")
    (model,) = comfy.node("MoGLELoRAApply")(model=models[0], lora_name="toy_mogle.safetensors")
    model, gated, _, _ = comfy.node("MoGLEGatedCondition")(
        model=model, positive=positive, mogle=mogle, mask_latents=mask_latents
    )
    text, noise = world.text.encode([PROMPT]), noise_of([SEED], 128, 128)
    ours = sample(world, pack(encode_masks(world, ids)), text, noise, SamplingOptions(STEPS))
    torch.testing.assert_close(sampled(model, gated), ours, atol=1e-3, rtol=0)
    assert (ours - sample(world, None, text, noise, SamplingOptions(STEPS))).abs().max() > 0.01


def test_off_is_the_base_model_to_the_bit(comfy, models, mask_latents) -> None:
    (positive,) = comfy.node("MoGLEToyPrompt")(text=PROMPT)
    (mogle,) = comfy.node("MoGLELoader")(mogle_name="toy_mogle.safetensors")
    (model,) = comfy.node("MoGLELoRAApply")(model=models[0], lora_name="toy_mogle.safetensors")
    off, gated, _, _ = comfy.node("MoGLEGatedCondition")(
        model=model, positive=positive, mogle=mogle, mask_latents=mask_latents, strength=0.0
    )
    plain = sampled(models[0], positive)
    assert torch.equal(sampled(off, gated), plain)
    assert torch.equal(sampled(model, positive), plain)  # nor does the LoRA act without a mask


def test_missing_weights_are_an_error_message(comfy, monkeypatch, tmp_path: Path) -> None:
    module = comfy.module("nodes.toy")
    monkeypatch.setattr(module, "WEIGHTS", tmp_path)
    module.text_encoder.cache_clear()
    with pytest.raises(ValueError, match=r"no file toy_text.safetensors .* Toy Prompt needs the toy's text encoder"):
        comfy.node("MoGLEToyPrompt")(text="a face")


def test_unknown_words_are_named_in_the_log(comfy, caplog) -> None:
    comfy.node("MoGLEToyPrompt")(text="A woman with fuchsia hair")
    assert "vocabulary lacks fuchsia" in caplog.text


def value_of(nodes: Nodes, kind: str, index: int = 0) -> Any:
    (node,) = [node for node in nodes.values() if node["type"] == kind]
    return node["widgets_values"][index]


@pytest.mark.server
def test_the_example_workflow_makes_the_commands_picture(server: Server, world: World, ids: Tensor) -> None:
    """Installed in a running server and queued as the browser does: stock loaders, and all of our nodes."""
    install(server.base, force=True)
    nodes, links = read(WORKFLOW)
    outputs = server.run(as_prompt(nodes, links, server.get("/object_info")))
    (saved,) = [str(number) for number, node in nodes.items() if node["type"] == "SaveImage"]
    picture = Image.open(io.BytesIO(server.picture(outputs[saved]["images"][0])))
    theirs = torch.from_numpy(np.array(picture.convert("RGB"))).int()
    prompt, seed = value_of(nodes, "MoGLEToyPrompt"), value_of(nodes, "KSampler")
    ours = generate(world, ids, [prompt], [seed], SamplingOptions(value_of(nodes, "KSampler", 2)))[0].int()
    assert theirs.shape == (128, 128, 3)
    assert (theirs - ours).abs().max() <= 2
