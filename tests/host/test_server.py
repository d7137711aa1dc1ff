"""A real server with the pack: from an uploaded mask and a prompt to an image, and every kind of bad input."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support.comfy_server import PromptFailedError, PromptRefusedError, Server
from support.places import DATA
from support.small_weights import STOCK, mask_lora_weights, write_stock_flux, write_taesd

DATA = DATA
SIZE = 128
LORA = "pytorch_lora_weights.safetensors"
NODES = {page.stem for page in (Path(__file__).parents[2] / "web/docs").glob("MoGLE*.md")}


@pytest.fixture(scope="module")
def stocked(server: Server) -> Server:
    """The server with all files that the workflow loads, in the places where users put them."""
    write_stock_flux(server.models / "diffusion_models/small_flux.safetensors")
    write_taesd(server.models / "vae/taesd.safetensors")
    write_taesd(server.models / "vae/sd_vae.safetensors", latent_channels=4)
    for folder in ("mogle", "loras"):
        (server.models / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(DATA / "golden/global_local_mask_moe.pt", server.models / "mogle/mogle.pt")
    save_file(mask_lora_weights(STOCK), server.models / "loras/pytorch_lora_weights.safetensors")
    server.mask = server.upload(DATA / "masks/mm_celeba_27000.png")
    return server


def workflow(server: Server, **changed: dict[str, Any]) -> dict[str, Any]:
    """From mask and text to an image, in API form, with stock loaders. `changed` overrides inputs of nodes."""
    widths = {"context_width": STOCK.context, "pooled_width": STOCK.pooled, "tokens": 8, "guidance": 3.5}
    latent = {"width": SIZE, "height": SIZE, "batch_size": 1}
    gated = {"model": ["lora", 0], "positive": ["text", 0], "mogle": ["mogle", 0], "mask_latents": ["encoded", 0]}
    links = {"model": ["gated", 0], "positive": ["gated", 1], "negative": ["gated", 2], "latent_image": ["latent", 0]}
    steps = {"seed": 1, "steps": 2, "cfg": 1.0, "denoise": 1.0, "sampler_name": "euler", "scheduler": "simple"}
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "flux": ("UNETLoader", {"unet_name": "small_flux.safetensors", "weight_dtype": "default"}),
        "vae": ("VAELoader", {"vae_name": "taesd.safetensors"}),
        "text": ("MoGLETestConditioning", {"text": "a face", **widths}),
        "image": ("LoadImage", {"image": server.mask}),
        "mogle": ("MoGLELoader", {"mogle_name": "mogle.pt", "gate_timestep": "auto"}),
        "masks": ("MoGLEMaskDecouple", {"image": ["image", 0], "label_space": "auto", "local_masks": "correct"}),
        "encoded": ("MoGLEEncode", {"masks": ["masks", 0], "vae": ["vae", 0], "width": SIZE, "height": SIZE}),
        "lora": ("MoGLELoRAApply", {"model": ["flux", 0], "lora_name": LORA, "strength": 1.0}),
        "gated": ("MoGLEGatedCondition", {**gated, "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}),
        "latent": ("EmptySD3LatentImage", latent),
        "sampler": ("KSampler", {**steps, **links}),
        "picture": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["vae", 0]}),
        "saved": ("SaveImage", {"images": ["picture", 0], "filename_prefix": "mask_and_text"}),
    }
    prompt = {name: {"class_type": node, "inputs": dict(inputs)} for name, (node, inputs) in nodes.items()}
    for name, inputs in changed.items():
        prompt[name]["inputs"] |= inputs
    return prompt


def picture(server: Server, prompt: dict[str, Any], node: str = "saved") -> Image.Image:
    return Image.open(io.BytesIO(server.picture(server.run(prompt)[node]["images"][0])))


@pytest.fixture
def refuses(stocked: Server) -> Iterator[Any]:
    """refuses(sentence, **changed) asserts that the workflow fails with this message and the server still works."""

    def check(sentence: str, node_type: str | None = None, **changed: dict[str, Any]) -> None:
        with pytest.raises((PromptFailedError, PromptRefusedError), match=sentence) as failure:
            stocked.run(workflow(stocked, **changed))
        if node_type is not None:
            assert failure.value.node_type == node_type

    yield check
    stocked.get("/system_stats")


def test_from_mask_and_prompt_to_a_picture(stocked: Server) -> None:
    made = picture(stocked, workflow(stocked))
    assert (made.format, made.size) == ("PNG", (SIZE, SIZE))
    # Text, mask and network all have their say.
    for changed in (
        {"text": {"text": "another face"}},
        {"image": {"image": stocked.upload(DATA / "masks/portrait_hat.png")}},
        {"gated": {"strength": 0.0}},
        {"lora": {"strength": 0.0}},
    ):
        assert picture(stocked, workflow(stocked, **changed)).tobytes() != made.tobytes()
    assert picture(stocked, workflow(stocked)).tobytes() == made.tobytes()


def test_preview_shows_the_palette(stocked: Server) -> None:
    prompt = {name: workflow(stocked)[name] for name in ("image", "masks")}
    prompt["saved"] = {"class_type": "SaveImage", "inputs": {"images": ["masks", 1], "filename_prefix": "preview"}}
    stored = Image.open(DATA / "masks/mm_celeba_27000.png").convert("RGB")
    assert picture(stocked, prompt).convert("RGB").tobytes() == stored.tobytes()


def test_the_latent_gives_the_size(stocked: Server) -> None:
    changed = {"encoded": {"width": 0, "height": 0, "latent": ["latent", 0]}, "latent": {"width": 96, "height": 160}}
    assert picture(stocked, workflow(stocked, **changed)).size == (96, 160)


def uploaded(server: Server, folder: Path, name: str, image: Image.Image) -> dict[str, Any]:
    image.save(folder / name)
    return {"image": {"image": server.upload(folder / name)}}


def test_a_photo_where_a_mask_belongs(stocked: Server, refuses, tmp_path: Path) -> None:
    photo = (torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)) * 255).byte().numpy()
    changed = uploaded(stocked, tmp_path, "photo.png", Image.fromarray(photo))
    refuses(r"\d+(\.\d+)? ?% of the mask", "MoGLEMaskDecouple", **changed)


def test_ids_above_18(stocked: Server, refuses, tmp_path: Path) -> None:
    ids = torch.arange(24, dtype=torch.uint8).repeat(24, 4).numpy()
    refuses("ids up to 23", "MoGLEMaskDecouple", **uploaded(stocked, tmp_path, "ids.png", Image.fromarray(ids)))


def test_a_wrong_vae(refuses) -> None:
    refuses("Connect FLUX.1's VAE", "MoGLEEncode", vae={"vae_name": "sd_vae.safetensors"})


def test_a_mask_of_another_size_than_the_latent(refuses) -> None:
    sentence = "encoded at 128 x 128 pixels but 96 x 96 pixels are sampled"
    refuses(sentence, "KSampler", latent={"width": 96, "height": 96})


def test_a_width_that_is_not_a_multiple_of_16(refuses) -> None:
    refuses("multiples of 16. Set its width and height to 96 and 128", "MoGLEEncode", encoded={"width": 100})


def test_a_corrupt_checkpoint(stocked: Server, refuses) -> None:
    whole = (DATA / "golden/global_local_mask_moe.pt").read_bytes()
    (stocked.models / "mogle/broken.pt").write_bytes(whole[: len(whole) // 2])
    refuses("broken.pt is truncated", "MoGLELoader", mogle={"mogle_name": "broken.pt"})
    lora = (stocked.models / "loras/pytorch_lora_weights.safetensors").read_bytes()
    (stocked.models / "loras/broken.safetensors").write_bytes(lora[:-100])
    refuses("broken.safetensors is truncated", "MoGLELoRAApply", lora={"lora_name": "broken.safetensors"})


def test_lora_and_network_swapped(stocked: Server, refuses) -> None:
    shutil.copy(stocked.models / "loras/pytorch_lora_weights.safetensors", stocked.models / "mogle/lora.safetensors")
    refuses("is the LoRA, not the network", "MoGLELoader", mogle={"mogle_name": "lora.safetensors"})
    shutil.copy(stocked.models / "mogle/mogle.pt", stocked.models / "loras/network.pt")
    refuses("is the network, not the LoRA", "MoGLELoRAApply", lora={"lora_name": "network.pt"})


def test_a_lora_for_another_width(stocked: Server, refuses) -> None:
    save_file(mask_lora_weights(), stocked.models / "loras/narrow.safetensors")
    sentence = "made for a model of width 64; this one has 256"
    refuses(sentence, "MoGLELoRAApply", lora={"lora_name": "narrow.safetensors"})


@pytest.mark.parametrize("name", ["../loras/pytorch_lora_weights.safetensors", "/etc/passwd", "..\\secret.pt"])
def test_a_path_outside_the_models_folder(refuses, name: str) -> None:
    refuses("models/mogle has no file", mogle={"mogle_name": name})


def test_a_missing_file(refuses) -> None:
    refuses("models/loras has no file 'gone.safetensors'", lora={"lora_name": "gone.safetensors"})


def test_an_empty_list_of_files(stocked: Server, refuses, tmp_path: Path) -> None:
    shutil.move(stocked.models / "mogle", tmp_path)
    (stocked.models / "mogle").mkdir()
    try:
        assert stocked.get("/object_info/MoGLELoader")
        refuses("models/mogle holds no file yet", mogle={"mogle_name": "mogle.pt"})
    finally:
        (stocked.models / "mogle").rmdir()
        shutil.move(tmp_path / "mogle", stocked.models)


def test_help_and_interface_are_served(stocked: Server) -> None:
    for node in NODES:
        described = stocked.get(f"/object_info/{node}")[node]
        inputs = {**described["input"].get("required", {}), **described["input"].get("optional", {})}
        assert described["category"] == "MoGLE"
        assert all(options[-1].get("tooltip") for options in inputs.values()), node
        assert stocked.fetch(f"/extensions/ComfyUI-MoGLE/docs/{node}.md")


def test_the_good_workflow_still_runs_after_all_that(stocked: Server) -> None:
    assert picture(stocked, workflow(stocked, sampler={"seed": 2})).size == (SIZE, SIZE)
