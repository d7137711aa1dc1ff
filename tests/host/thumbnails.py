"""Makes the thumbnails of the toy templates: a real server runs each workflow, and what it shows is NAME.jpg.

    python tests/host/thumbnails.py [NAME ...]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see environment.py), 0.3.72 or newer.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts
from support.comfy_server import Server
from support.workflows import Nodes, as_prompt, read

from mogle_core.support.sheets import GAP, PAPER
from mogle_core.toy.install import install

EXAMPLES = hosts.REPOSITORY / "example_workflows"
HEIGHT, WIDTH = 512, 1032
WIDE = 1.6  # from this ratio of sides on a picture has a row of its own
SHOWING = ("PreviewImage", "SaveImage")


def shown(nodes: Nodes, outputs: dict[str, Any], server: Server) -> Iterator[list[Image.Image]]:
    """What each node shows: previews first, then saved images."""
    for kind in SHOWING:
        for number, node in nodes.items():
            if node["type"] == kind and str(number) in outputs:
                files = (server.picture(entry) for entry in outputs[str(number)]["images"])
                yield [Image.open(io.BytesIO(file)).convert("RGB") for file in files]


def scaled(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scales an image. Label maps, which have few colours, keep hard edges."""
    is_mask = picture.getcolors(19) is not None
    return picture.resize((width, height), Image.Resampling.NEAREST if is_mask else Image.Resampling.LANCZOS)


def tile(pictures: Sequence[Image.Image]) -> Image.Image:
    """The images of one node, HEIGHT high. Several form a square."""
    across = 1 if len(pictures) == 1 else 2
    height = (HEIGHT - GAP * (across - 1)) // across
    width = round(height * pictures[0].width / pictures[0].height)
    down = -(-len(pictures) // across)
    sheet = Image.new("RGB", (width * across + GAP * (across - 1), height * down + GAP * (down - 1)), PAPER)
    for place, picture in enumerate(pictures):
        at = ((place % across) * (width + GAP), (place // across) * (height + GAP))
        sheet.paste(scaled(picture, width, height), at)
    return sheet


def thumbnail(nodes: Iterable[list[Image.Image]]) -> Image.Image:
    """The images of the nodes side by side, wide ones below. No side is longer than WIDTH."""
    tiles = [tile(pictures) for pictures in nodes]
    narrow = [one for one in tiles if one.width < WIDE * one.height]
    rows = [row for row in (narrow, *([one] for one in tiles if one not in narrow)) if row]
    strips = [_strip(row) for row in rows]
    sheet = Image.new("RGB", (WIDTH, sum(strip.height for strip in strips) + GAP * (len(strips) - 1)), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, ((WIDTH - strip.width) // 2, top))
        top += strip.height + GAP
    sheet.thumbnail((WIDTH, WIDTH))
    return sheet


def _strip(tiles: Sequence[Image.Image]) -> Image.Image:
    gaps = GAP * (len(tiles) - 1)
    share = min(1.0, (WIDTH - gaps) / sum(one.width for one in tiles)) if len(tiles) > 1 else WIDTH / tiles[0].width
    share = min(share, HEIGHT / tiles[0].height) if len(tiles) == 1 and tiles[0].width < WIDE * HEIGHT else share
    fitted = [scaled(one, round(one.width * share), round(one.height * share)) for one in tiles]
    strip = Image.new("RGB", (sum(one.width for one in fitted) + gaps, max(one.height for one in fitted)), PAPER)
    left = 0
    for one in fitted:
        strip.paste(one, (left, 0))
        left += one.width + GAP
    return strip


def main(names: Sequence[str]) -> None:
    templates = sorted(EXAMPLES.glob("toy_*.json"))
    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}) as server:
        install(server.base)
        definitions = server.get("/object_info")
        for path in templates:
            if not names or path.stem in names:
                make(path, server, definitions)


def make(path: Path, server: Server, definitions: dict[str, Any]) -> None:
    nodes, links = read(path)
    outputs = server.run(as_prompt(nodes, links, definitions))
    picture = thumbnail(shown(nodes, outputs, server))
    picture.save(path.with_suffix(".jpg"), quality=88, optimize=True)
    print(path.with_suffix(".jpg").name, picture.size)


if __name__ == "__main__":
    main(sys.argv[1:])
