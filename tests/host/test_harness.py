"""The test harness itself, with core nodes only: a host in process and as a server, small models, sampling."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support import tiny
from support.comfy_server import PromptFailedError, PromptRefusedError, Server
from support.small_weights import (
    STOCK,
    TINY,
    FluxSizes,
    flux_weights,
    lora_weights,
    sizes_of,
    write_stock_flux,
    write_taesd,
)

SIZES = [TINY, FluxSizes(axes=(8, 12, 12), guidance=False), STOCK]
POSITIVE, OTHER = tiny.conditioning(1), tiny.conditioning(2)


def changes(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two samples differ by more than rounding."""
    return bool((a - b).abs().max() > 1e-3)


def test_a_core_node_runs_as_in_the_executor(comfy: Any) -> None:
    (latent,) = comfy.node("EmptySD3LatentImage")(width=64, height=32)
    assert latent["samples"].shape == (1, 16, 4, 8)
    assert latent["samples"].is_inference()


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"hidden{sizes.hidden}_head{sizes.head}")
def test_a_tiny_flux_has_the_requested_sizes(comfy: Any, sizes: FluxSizes) -> None:
    weights = flux_weights(sizes)
    model = tiny.tiny_flux(weights, sizes=sizes).model.diffusion_model
    held = model.state_dict()
    renamed = {name.replace("_norm.scale", "_norm.weight") for name in weights}  # since 0.14
    assert set(held) in (set(weights), renamed)
    assert torch.equal(held["img_in.weight"], weights["img_in.weight"])
    assert model.params.axes_dim == list(sizes.axes)


@pytest.mark.parametrize("make", [tiny.tiny_flux, tiny.golden_flux])
def test_sampling_is_repeatable_and_depends_on_everything(comfy: Any, make: Any) -> None:
    sampled = tiny.sample(make(), POSITIVE)
    assert sampled.shape == (1, 16, 8, 8)
    assert sampled.isfinite().all()
    assert torch.equal(sampled, tiny.sample(make(), POSITIVE))
    assert changes(sampled, tiny.sample(make(), OTHER))
    assert changes(sampled, tiny.sample(make(), tiny.conditioning(1, guidance=1.0)))
    assert changes(sampled, tiny.sample(make(), POSITIVE, seed=1))
    assert changes(sampled, tiny.sample(make(), POSITIVE, OTHER, cfg=3.0))


def test_the_golden_model_is_read_correctly() -> None:
    assert sizes_of(load_file(tiny.GOLDEN / "flux_tiny.safetensors")) == TINY


@pytest.mark.parametrize("naming", ["diffusers", "bfl", "kohya"])
def test_an_ordinary_lora_is_used(comfy: Any, naming: str, caplog: Any) -> None:
    model, lora = tiny.tiny_flux(), lora_weights(naming=naming)
    patched = tiny.with_lora(model, lora)
    assert "not loaded" not in caplog.text
    tiny.with_lora(model, {"no.such.layer.lora_A.weight": torch.ones(1)})
    assert "not loaded" in caplog.text  # so that it would have been said above
    plain = tiny.sample(model, POSITIVE)
    assert changes(plain, tiny.sample(patched, POSITIVE))
    assert torch.equal(plain, tiny.sample(model, POSITIVE))


def test_one_step_gives_the_velocity(comfy: Any) -> None:
    model = tiny.golden_flux()
    x = torch.randn(2, 16, 6, 8, generator=torch.Generator().manual_seed(0))
    path = tiny.trajectory(model, x, [0.8, 0.5, 0.0], POSITIVE)
    assert torch.allclose(path[0], x, atol=1e-6)
    expected = path[0] - 0.3 * tiny.velocity(model, x, 0.8, POSITIVE)
    assert torch.allclose(path[1], expected, atol=1e-5)


def test_packing_equals_the_models(comfy: Any) -> None:
    model = tiny.tiny_flux().model.diffusion_model
    latent = torch.randn(2, 16, 6, 8)
    tokens = model.process_img(latent)[0]
    assert torch.equal(tiny.packed(latent), tokens)
    assert torch.equal(tiny.unpacked(tokens, 3, 4), latent)


def test_a_random_vae_shows_what_it_is_given(comfy: Any) -> None:
    vae = tiny.tiny_vae()
    ramp = torch.linspace(0, 1, 64).expand(1, 64, 64).unsqueeze(-1).expand(-1, -1, -1, 3)
    latent = vae.encode(ramp)
    assert latent.shape == (1, 16, 8, 8)
    assert changes(latent, vae.encode(1 - ramp))
    picture = vae.decode(torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert picture.shape == (1, 64, 64, 3)
    assert 0.05 < picture.std() < 0.45


def test_the_pack_under_test_loads(comfy: Any) -> None:
    assert comfy.module("mogle_core").__name__.endswith(".mogle_core")
    assert comfy.pack.WEB_DIRECTORY


def workflow(**changed: Any) -> dict[str, Any]:
    """Text to image with stock loaders, in API form."""
    size = {"width": 64, "height": 48, "batch_size": 1}
    widths = {"context_width": STOCK.context, "pooled_width": STOCK.pooled, "tokens": 8, "guidance": 3.5}
    links = {"model": ["flux", 0], "positive": ["text", 0], "negative": ["text", 0]}
    method = {"sampler_name": "euler", "scheduler": "simple"}
    steps = {"seed": 1, "steps": 2, "cfg": 1.0, "denoise": 1.0, **method}
    nodes = {
        "flux": ("UNETLoader", {"unet_name": "small_flux.safetensors", "weight_dtype": "default"}),
        "vae": ("VAELoader", {"vae_name": "taesd.safetensors"}),
        "text": ("MoGLETestConditioning", {"text": "a face", **widths}),
        "latent": ("EmptySD3LatentImage", size),
        "sampler": ("KSampler", {**steps, **links, "latent_image": ["latent", 0]}),
        "picture": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["vae", 0]}),
        "saved": ("SaveImage", {"images": ["picture", 0], "filename_prefix": "harness"}),
    }
    prompt = {name: {"class_type": node, "inputs": inputs} for name, (node, inputs) in nodes.items()}
    for name, inputs in changed.items():
        prompt[name]["inputs"] |= inputs
    return prompt


@pytest.fixture(scope="module")
def stocked(server: Server) -> Server:
    write_stock_flux(server.models / "diffusion_models/small_flux.safetensors")
    write_taesd(server.models / "vae/taesd.safetensors")
    return server


def picture_of(server: Server, prompt: dict[str, Any]) -> Image.Image:
    saved = server.run(prompt)["saved"]["images"][0]
    return Image.open(io.BytesIO(server.picture(saved)))


def test_the_server_makes_a_picture(stocked: Server) -> None:
    picture = picture_of(stocked, workflow())
    assert (picture.format, picture.size) == ("PNG", (64, 48))
    assert json.loads(picture.info["prompt"])["sampler"]["class_type"] == "KSampler"
    assert picture.tobytes() != picture_of(stocked, workflow(text={"text": "another face"})).tobytes()


def test_the_server_answers_after_a_bad_prompt(stocked: Server) -> None:
    with pytest.raises(PromptRefusedError, match="no_such.safetensors"):
        stocked.run(workflow(vae={"vae_name": "no_such.safetensors"}))
    with pytest.raises(PromptFailedError) as failure:
        stocked.run(workflow(text={"context_width": STOCK.context + 1}))
    assert failure.value.node_type == "KSampler"
    assert picture_of(stocked, workflow(sampler={"seed": 2})).size == (64, 48)


def test_an_uploaded_picture_can_be_used(stocked: Server, tmp_path: Path) -> None:
    Image.new("RGB", (32, 16), (255, 0, 0)).save(tmp_path / "red.png")
    name = stocked.upload(tmp_path / "red.png")
    prompt = {
        "loaded": {"class_type": "LoadImage", "inputs": {"image": name}},
        "saved": {"class_type": "SaveImage", "inputs": {"images": ["loaded", 0], "filename_prefix": "copy"}},
    }
    assert picture_of(stocked, prompt).getpixel((3, 3)) == (255, 0, 0)
    with pytest.raises(HTTPError):
        stocked.get("/no/such/address")


def test_the_server_imports_every_pack(server: Server) -> None:
    assert server.failed_packs() == [], server.start_log
