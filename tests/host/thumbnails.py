"""Makes the thumbnails of the templates. A real server runs each workflow, and its pictures become NAME.jpg.

ComfyUI's template browser shows square cards, so each thumbnail is a square of SIDE pixels, twice a card's width.

    python tests/host/thumbnails.py [NAME ...]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see environment.py), 0.3.72 or newer.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts
from support.comfy_server import Server
from support.image_files import save_jpeg
from support.templates import ALL, TOYS
from support.workflows import Nodes, as_prompt, read

from mogle_core.support.sheets import GAP, PAPER
from mogle_core.toy.install import install

SIDE = 640
INSET = {1: 0.34, 2: 0.25}  # width of an inset as a share of the picture's, if there are one or two
WIDE = 1.6  # from this ratio of sides on, a picture takes a whole row
SHOWING = ("PreviewImage", "SaveImage", "SaveAnimatedWEBP")

Pictures = list[Image.Image]


def with_conditions(prompt: dict[str, Any], nodes: Nodes) -> dict[str, Any]:
    """The prompt plus a preview of every mask and sketch. Some templates show them only in the painter or loader."""
    shown = {}
    for number, node in nodes.items():
        if node["type"] == "MoGLEMaskDecouple":
            shown[f"mask {number}"] = [str(number), 1]
        elif node["type"] == "MoGLEAddCondition":
            shown[f"sketch {number}"] = prompt[str(number)]["inputs"]["image"]
    previews = {name: {"class_type": "PreviewImage", "inputs": {"images": link}} for name, link in shown.items()}
    return prompt | previews


def frames(file: bytes) -> Pictures:
    """The picture of a file, or four of the pictures of an animation, from its first to its last."""
    picture = Image.open(io.BytesIO(file))
    last = getattr(picture, "n_frames", 1) - 1
    found = []
    for place in sorted({round(last * share / 3) for share in range(4)}):
        picture.seek(place)
        found.append(picture.convert("RGB"))
    return found


def shown(nodes: Nodes, outputs: dict[str, Any], server: Server) -> tuple[Pictures, Pictures, Pictures]:
    """The masks and the sketches that the run used, and the pictures that it shows, in the order of the nodes."""

    def made(numbers: Sequence[str]) -> Pictures:
        entries = [entry for number in numbers for entry in outputs.get(number, {}).get("images", [])]
        return [one for entry in entries for one in frames(server.picture(entry))]

    masks, sketches = (made(sorted(n for n in outputs if n.startswith(kind))) for kind in ("mask ", "sketch "))
    pictures = made([str(number) for number, node in sorted(nodes.items()) if node["type"] in SHOWING])
    results = [one for one in pictures if not is_mask(one) and not is_drawing(one)]
    return spread(masks, len(pictures)), sketches, results or pictures


def spread(masks: Pictures, count: int) -> Pictures:
    """Of an animation, the four masks that belong to the four frames shown."""
    return masks if len(masks) <= max(count, 2) else [masks[round((len(masks) - 1) * place / 3)] for place in range(4)]


def is_mask(picture: Image.Image) -> bool:
    return picture.getcolors(19) is not None


def is_drawing(picture: Image.Image) -> bool:
    """Whether the picture is grey throughout."""
    return picture.convert("HSV").getchannel("S").getbbox() is None


def fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Fills the box, cut at the sides if need be. Label maps, which have few colours, keep hard edges."""
    method = Image.Resampling.NEAREST if is_mask(picture) else Image.Resampling.LANCZOS
    return ImageOps.fit(picture, (width, height), method)


def with_insets(picture: Image.Image, insets: Pictures, side: int) -> Image.Image:
    """The picture with its mask, its sketch or both as insets in the lower left corner."""
    square = fitted(picture, side, side)
    edge = max(2, side // 160)
    for place, inset in enumerate(insets):
        small = round(side * INSET[len(insets)])
        framed = ImageOps.expand(fitted(inset, small, small), edge, PAPER)
        square.paste(framed, (edge + place * (small + 3 * edge), side - small - 3 * edge))
    return square


def grid(squares: Pictures) -> Image.Image:
    """Four squares, two by two."""
    sheet = Image.new("RGB", (SIDE, SIDE), PAPER)
    step = (SIDE + GAP) // 2
    for place, square in enumerate(squares[:4]):
        sheet.paste(fitted(square, step - GAP, step - GAP), (place % 2 * step, place // 2 * step))
    return sheet


def rows(pictures: Pictures) -> Image.Image:
    """Stacks the pictures, each as wide as the sheet."""
    sheet = Image.new("RGB", (SIDE, SIDE), PAPER)
    step = (SIDE + GAP) // len(pictures)
    for place, picture in enumerate(pictures):
        sheet.paste(fitted(picture, SIDE, step - GAP), (0, place * step))
    return sheet


def thumbnail(masks: Pictures, sketches: Pictures, pictures: Pictures) -> Image.Image:
    """Chooses a layout: a wide picture below its two masks, one picture with its mask and sketch in a corner, two
    pictures beside their masks, four pictures, or the last two sheets.
    """
    first = pictures[0]
    if len(pictures) == 1 and first.width > WIDE * first.height and len(masks) == 2:
        return rows([beside(masks), first])
    if len(pictures) == 1:
        return with_insets(first, sketches[:1] + masks[:1], SIDE)
    if len(pictures) == 4:
        pairs = [[mask] for mask in masks] if len(masks) == 4 else [[]] * 4
        return grid([with_insets(one, pair, SIDE // 2) for one, pair in zip(pictures, pairs, strict=True)])
    if len(pictures) == 2 and len(masks) in (1, 2):
        return grid([masks[0], first, masks[-1], pictures[1]])
    return rows(pictures[-2:])


def beside(masks: Pictures) -> Image.Image:
    half = (SIDE - GAP) // 2
    sheet = Image.new("RGB", (SIDE, half), PAPER)
    for place, mask in enumerate(masks):
        sheet.paste(fitted(mask, half, half), (place * (half + GAP), 0))
    return sheet


def drawn(nodes: Nodes, prompt: dict[str, Any], server: Server) -> Image.Image:
    """What a template for FLUX.1 shows before its models are there: the mask, and what is special about the template.

    A sketch is in the mask's corner. So is the mask itself, small, where a second pass is larger than the first. With
    a style LoRA, the right half is in another style.
    """
    (number,) = [str(number) for number, node in nodes.items() if node["type"] == "MoGLEMaskPainter"]
    wanted = {number: prompt[number]}
    for place in (0, 2):
        wanted[f"{place}"] = {"class_type": "PreviewImage", "inputs": {"images": [number, place]}}
    outputs = server.run(wanted)
    mask, sketch = (frames(server.picture(outputs[place]["images"][0]))[0] for place in ("0", "2"))
    kinds = [node["type"] for node in nodes.values()]
    if "LoraLoaderModelOnly" in kinds:
        return half_in_lines(fitted(mask, SIDE, SIDE))
    passes = kinds.count("SamplerCustomAdvanced")
    return with_insets(mask, [sketch] if sketch.getbbox() else [mask] if passes > 1 else [], SIDE)


def half_in_lines(square: Image.Image) -> Image.Image:
    """The square with its right half as a line drawing."""
    middle = square.width // 2
    lines = ImageOps.grayscale(square.filter(ImageFilter.CONTOUR)).convert("RGB")
    square.paste(lines.crop((middle, 0, *square.size)), (middle, 0))
    return square


def main(names: Sequence[str]) -> None:
    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}) as server:
        install(server.base)
        definitions = server.get("/object_info")
        for path in ALL:
            if not names or path.stem in names:
                make(path, server, definitions)


def make(path: Path, server: Server, definitions: dict[str, Any]) -> None:
    nodes, links = read(path)
    prompt = as_prompt(nodes, links, definitions)
    if path in TOYS:
        picture = thumbnail(*shown(nodes, server.run(with_conditions(prompt, nodes)), server))
    else:
        picture = drawn(nodes, prompt, server)
    save_jpeg(path.with_suffix(".jpg"), picture)


if __name__ == "__main__":
    main(sys.argv[1:])
