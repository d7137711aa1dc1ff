"""Makes the pictures for the help pages. A real server runs each node on the toy world, and its page shows the result.

    python tests/host/help_pictures.py [PAGE ...]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see environment.py), 0.3.72 or newer. The pages
of Mask Painter and Gate Maps have pictures of their own.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts
from support.comfy_server import Server

from mogle_core.support.sheets import PAPER
from mogle_core.toy.install import install

PAGES = hosts.REPOSITORY / "web/docs"
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
        empty = self.node("EmptySD3LatentImage", width=128, height=128, batch_size=1)
        timed = self.node("ModelSamplingFlux", model=[joined, 0], max_shift=1.15, base_shift=0.5, width=128, height=128)
        samples = self.node(
            "KSampler", model=[timed, 0], positive=[joined, 1], negative=[joined, 2], latent_image=[empty, 0],
            seed=0, steps=20, cfg=1.0, sampler_name="euler", scheduler="simple", denoise=1.0,
        )  # fmt: skip
        return [self.node("VAEDecode", samples=[samples, 0], vae=[vae, 0]), 0]


def strengths(scene: Scene) -> None:
    mask = scene.mask()
    scene.show(mask, scene.picture(mask, strength=0.0), scene.picture(mask))


def loras(scene: Scene) -> None:
    mask = scene.mask()
    scene.show(mask, scene.picture(mask, lora=0.0), scene.picture(mask))


def decoupled(scene: Scene) -> None:
    mask = scene.mask()
    masks = scene.node("MoGLEMaskDecouple", image=mask, label_space="auto", local_masks="correct")
    scene.show([masks, 1])
    for region in ("hair", "skin"):
        scene.show_mask([scene.node("MoGLEGetRegion", mask=mask, region=region), 0])


def encoded(scene: Scene) -> None:
    hat = scene.edited(scene.mask(), operation="add hat", hat="beanie")
    scene.show(scene.mask(), hat, scene.picture(hat))


def regions(scene: Scene) -> None:
    mask = scene.mask()
    whole = scene.node("MoGLERegions", region="full mask", strength=0.3, start_percent=0.0, end_percent=0.7)
    hair = scene.node(
        "MoGLERegions", region="hair", strength=0.0, start_percent=0.0, end_percent=0.7, regions=[whole, 0]
    )
    scene.show(mask, scene.picture(mask), scene.picture(mask, regions=[hair, 0]))


def region_prompt(scene: Scene) -> None:
    mask = scene.mask()
    words = {"strength": 1.0, "prompt_strength": 0.3, "start_percent": 0.0, "end_percent": 1.0}
    cloth = scene.node("MoGLERegionPrompt", region="cloth", conditioning=scene.text("A yellow dress."), **words)
    scene.show(mask, scene.picture(mask), scene.picture(mask, region_prompts=[cloth, 0]))


def sketched(scene: Scene) -> None:
    for image in (scene.photo(), scene.mask()):
        sketch = scene.node("MoGLEFaceSketch", image=image, style="shading", line_width=1.5, detail=0.5)
        scene.show(*([image] if image[0] == "n0" else []), [sketch, 0])


def added(scene: Scene) -> None:
    sketch = scene.node("MoGLEFaceSketch", image=scene.mask(), style="shading", line_width=1.5, detail=0.5)
    scene.show(scene.mask(), [sketch, 0])


def edits(scene: Scene) -> None:
    mask = scene.mask()
    for settings in (
        {"operation": "grow", "amount": 8.0},
        {"operation": "shrink", "amount": 6.0},
        {"operation": "add hat", "hat": "beanie"},
        {"operation": "add glasses", "glasses": "round"},
        {"operation": "add earrings", "earrings": "hoop"},
    ):
        scene.show(*([] if scene.shown else [mask]), scene.edited(mask, **settings))


def got(scene: Scene) -> None:
    mask = scene.mask()
    scene.show(mask)
    scene.show_mask([scene.node("MoGLEGetRegion", mask=mask, region="hair"), 0])


def set_region(scene: Scene) -> None:
    mask = scene.mask()
    area = [scene.node("MoGLEGetRegion", mask=scene.edited(mask, operation="shrink", amount=4.0), region="hair"), 0]
    scene.show(mask)
    scene.show_mask(area)
    locked = "skin, nose, l_eye, r_eye, l_brow, r_brow, u_lip, l_lip, neck"
    scene.show([scene.node("MoGLESetRegion", mask=mask, area=area, region="hair", keep=False, locked=locked), 0])


def morphed(scene: Scene) -> None:
    mask = scene.mask()
    scene.show([scene.node("MoGLEMorphMask", first=mask, second=scene.edited(mask, operation="add hat"), count=3), 0])


def scored(scene: Scene) -> None:
    mask = scene.mask()
    image = scene.picture(mask)
    score = scene.node("MoGLEMaskScore", mask=mask, image=image, parser_name="toy_judge.safetensors")
    scene.show(mask, image, [score, 2])


def parsed(scene: Scene) -> None:
    photo = scene.photo()
    scene.show(photo, [scene.parsed(photo), 0])


def aligned(scene: Scene, back: bool = False) -> None:
    photo = scene.photo()
    face = scene.node("MoGLEAlignFace", image=photo, mask=[scene.parsed(photo), 0], size=128, detector="mask")
    if not back:
        scene.show(photo, [face, 0], [face, 1])
        return
    mask = [scene.parsed([face, 0]), 0]
    words = "A woman with short curly pink hair in a yellow turtleneck in front of a purple background. "
    image = scene.picture(mask, words + "The woman has fair skin and is smiling.")
    pasted = scene.node("MoGLEUnalignFace", image=image, crop=[face, 2], photo=photo, feather=0.1)
    scene.show(photo, image, [pasted, 0])


def prompted(scene: Scene) -> None:
    mask = scene.mask()
    scene.show(mask, scene.picture(mask), scene.picture(mask, TEXT.replace("brown", "red").replace("purple", "white")))


SCENES: dict[str, Callable[[Scene], None]] = {
    "MoGLEAddCondition": added,
    "MoGLEAlignFace": aligned,
    "MoGLEEncode": encoded,
    "MoGLEFaceSketch": sketched,
    "MoGLEGatedCondition": strengths,
    "MoGLEGetRegion": got,
    "MoGLELoRAApply": loras,
    "MoGLEMaskDecouple": decoupled,
    "MoGLEMaskEdit": edits,
    "MoGLEMaskScore": scored,
    "MoGLEMorphMask": morphed,
    "MoGLEParseFace": parsed,
    "MoGLERegionPrompt": region_prompt,
    "MoGLERegions": regions,
    "MoGLESetRegion": set_region,
    "MoGLEToyPrompt": prompted,
    "MoGLEUnalignFace": lambda scene: aligned(scene, back=True),
}


def pictures(scene: Scene, server: Server) -> list[Image.Image]:
    outputs = server.run(scene.prompt)
    files = [server.picture(entry) for number in scene.shown for entry in outputs[number]["images"]]
    return [Image.open(io.BytesIO(file)).convert("RGB") for file in files]


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


def main(names: Sequence[str]) -> None:
    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}) as server:
        install(server.base)
        for name, draw in SCENES.items():
            if not names or name in names:
                scene = Scene()
                draw(scene)
                made = sheet(pictures(scene, server))
                made.save(PAGES / f"{name}.jpg", quality=82, optimize=True)
                print(name, made.size, (PAGES / f"{name}.jpg").stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
