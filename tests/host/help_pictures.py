"""Makes the pictures for the help pages. A real server runs each node on the toy world, and its page shows the result.

    python tests/host/help_pictures.py [PAGE ...]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see environment.py), 0.3.72 or newer. The page of
Gate Maps has a picture of its own; tests/web/node_pictures.py makes those that show nodes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts
from support.comfy_server import Server
from support.help_scene import PAGES, TEXT, Scene, pictures, sheet
from support.image_files import save_jpeg

from mogle_core.toy.install import install


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


def main(names: Sequence[str]) -> None:
    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}) as server:
        install(server.base)
        for name, draw in SCENES.items():
            if not names or name in names:
                scene = Scene()
                draw(scene)
                save_jpeg(PAGES / f"{name}.jpg", sheet(pictures(scene, server)))


if __name__ == "__main__":
    main(sys.argv[1:])
