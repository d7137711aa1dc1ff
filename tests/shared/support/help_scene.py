"""Small workflows on the toy world for the pictures of the help pages, and the layout of their images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from mogle_core.support.sheets import PAPER
from support.comfy_server import Server
from support.image_files import read_rgb
from support.places import REPOSITORY

PAGES = REPOSITORY / "web/docs"
TEXT = "A woman with long straight brown hair in a purple sweater in front of a green background. The woman is smiling."
BOX, BETWEEN = 180, 6  # pixels: three boxes fill the panel of 290 pixels at twice its width

Prompt = dict[str, Any]
Link = list[Any]


class Scene:
    """Nodes in API form, and the images that the picture shows from left to right."""

    def __init__(self) -> None:
        self.prompt: Prompt = {}
        self.shown: list[str] = []

    def node(self, kind: str, **inputs: Any) -> str:
        number = f"n{len(self.prompt)}"
        self.prompt[number] = {"class_type": kind, "inputs": inputs}
        return number

    def show(self, *images: Link) -> None:
        self.shown += [self.node("PreviewImage", images=image) for image in images]

    def show_mask(self, area: Link) -> None:
        self.show([self.node("MaskToImage", mask=area), 0])

    def mask(self) -> Link:
        return [self.node("LoadImage", image="mogle_toy_mask.png"), 0]

    def photo(self) -> Link:
        return [self.node("LoadImage", image="mogle_toy_photo.png"), 0]

    def edited(self, mask: Link, **inputs: Any) -> Link:
        given = {"region": "hair", "operation": "grow", "amount": 8.0, "dx": 0, "dy": 0, "replacement": "background"}
        return [self.node("MoGLEMaskEdit", mask=mask, **given | inputs), 0]

    def parsed(self, image: Link) -> str:
        return self.node("MoGLEParseFace", image=image, parser_name="toy_judge.safetensors", fix_left_right=True)

    def text(self, text: str = TEXT) -> Link:
        return [self.node("MoGLEToyPrompt", text=text, guidance=1.0), 0]

    def latents(self, mask: Link) -> Link:
        masks = self.node("MoGLEMaskDecouple", image=mask, label_space="auto", local_masks="correct")
        vae = self.node("VAELoader", vae_name="toy_vae.safetensors")
        return [self.node("MoGLEEncode", masks=[masks, 0], vae=[vae, 0], width=0, height=0), 0]

    def picture(
        self,
        mask: Link,
        text: str = TEXT,
        strength: float = 1.0,
        lora: float = 1.0,
        latents: Link | None = None,
        empty: Link | None = None,
        **gated: Any,
    ) -> Link:
        """A picture that follows a mask, on the toy's FLUX."""
        flux = self.node("UNETLoader", unet_name="toy_flux.safetensors", weight_dtype="default")
        vae = self.node("VAELoader", vae_name="toy_vae.safetensors")
        mogle = self.node("MoGLELoader", mogle_name="toy_mogle.safetensors", gate_timestep="auto")
        patched = self.node("MoGLELoRAApply", model=[flux, 0], lora_name="toy_mogle.safetensors", strength=lora)
        positive = self.text(text)
        negative = self.node("ConditioningZeroOut", conditioning=positive)
        joined = self.node(
            "MoGLEGatedCondition", model=[patched, 0], positive=positive, negative=[negative, 0], mogle=[mogle, 0],
            mask_latents=latents or self.latents(mask), strength=strength,
            **{"start_percent": 0.0, "end_percent": 1.0} | gated,
        )  # fmt: skip
        empty = empty or [self.node("EmptySD3LatentImage", width=128, height=128, batch_size=1), 0]
        timed = self.node("ModelSamplingFlux", model=[joined, 0], max_shift=1.15, base_shift=0.5, width=128, height=128)
        samples = self.node(
            "KSampler", model=[timed, 0], positive=[joined, 1], negative=[joined, 2], latent_image=empty,
            seed=0, steps=20, cfg=1.0, sampler_name="euler", scheduler="simple", denoise=1.0,
        )  # fmt: skip
        return [self.node("VAEDecode", samples=[samples, 0], vae=[vae, 0]), 0]


def pictures(scene: Scene, server: Server) -> list[Image.Image]:
    outputs = server.run(scene.prompt)
    files = [server.picture(entry) for number in scene.shown for entry in outputs[number]["images"]]
    return [read_rgb(file) for file in files]


def sheet(images: Sequence[Image.Image]) -> Image.Image:
    """Rows of three. Label maps keep their hard edges."""
    rows = -(-len(images) // 3)
    paper = Image.new("RGB", (3 * BOX + 2 * BETWEEN, rows * BOX + (rows - 1) * BETWEEN), PAPER)
    for place, image in enumerate(images):
        method = Image.Resampling.NEAREST if image.getcolors(19) else Image.Resampling.LANCZOS
        share = BOX / max(image.size)
        fitted = image.resize((round(image.width * share), round(image.height * share)), method)
        left, top = (number * (BOX + BETWEEN) for number in (place % 3, place // 3))
        paper.paste(fitted, (left, top + (BOX - fitted.height) // 2))
    return paper.crop((0, 0, min(len(images), 3) * (BOX + BETWEEN) - BETWEEN, paper.height))
