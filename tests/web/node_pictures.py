"""Takes the screenshots for the help pages: of Mask Painter, and of the nodes that read or write files.

    python tests/web/node_pictures.py [FILE ...]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see tests/host/environment.py), 0.3.72 or newer,
and has playwright, with a Chromium. tests/host/help_pictures.py makes the pictures of the other pages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from recording import PROMPT, SEED, SEED_OF_NOISE, STROKES, TEMPLATE
from recording import TEXT as WORDS
from support import hosts
from support.browser import PAINTER, ComfyPage, running, visit
from support.comfy_server import Server
from support.help_scene import BETWEEN, BOX, PAGES, TEXT, Scene, pictures, sheet
from support.image_files import read_rgb, save_jpeg

from mogle_core.support.sheets import PAPER
from mogle_core.toy.install import install

WINDOW = {"width": 1400, "height": 900}
SHOWN = 1120  # pixels of the painter's pictures
PANEL, NODE, FULL = 276, 250, 270  # CSS pixels: of the picture, of the node in it, and of the node at a zoom of 1
OTHER = TEXT.replace("brown", "red").replace("purple", "white")
NOSE, FACE = 2, "medium straight hair, earrings"


def network(scene: Scene, _: Server) -> str:
    mask = scene.mask()
    scene.show(mask, scene.picture(mask, strength=0.0), scene.picture(mask))
    return "MoGLELoader"


def saved(scene: Scene, _: Server) -> str:
    mask = scene.mask()
    masks = scene.node("MoGLESaveMasks", mask_latents=scene.latents(mask), filename_prefix="masks/MoGLE")
    scene.show(mask, scene.picture(mask, latents=[masks, 0]))
    return "MoGLESaveMasks"


def loaded(scene: Scene, server: Server) -> str:
    before = Scene()
    saved(before, server)
    server.run(before.prompt)
    entry = server.get("/object_info/MoGLELoadMasks")["MoGLELoadMasks"]["input"]["required"]["masks_name"]
    masks = scene.node("MoGLELoadMasks", masks_name=choices(entry)[-1])
    for text in (TEXT, OTHER):
        scene.show(scene.picture([], text, latents=[masks, 0], empty=[masks, 1]))
    return "MoGLELoadMasks"


def choices(entry: list[Any]) -> list[str]:
    """The choices of a COMBO in either of the forms in which /object_info lists them."""
    return list(entry[0] if isinstance(entry[0], list) else entry[1]["options"])


def node(comfy: ComfyPage, prompt: dict[str, Any], kind: str) -> Image.Image:
    """A node in the graph of a prompt, with its links, as wide as the panel. The other nodes lie outside."""
    comfy.page.evaluate("(prompt) => app.loadApiJson(prompt, 'help')", prompt)
    comfy.wait(f"app.graph.nodes.some((one) => one.type === '{kind}')")
    number = comfy.page.evaluate(
        """([kind, width, scale]) => {
            const shown = app.graph.nodes.find((one) => one.type === kind);
            const before = shown.inputs.map((_, slot) => shown.getInputNode(slot));
            const after = shown.outputs.flatMap((_, slot) => shown.getOutputNodes(slot) ?? []);
            for (const one of app.graph.nodes) one.pos = [3000, 6000];
            for (const one of before) if (one) one.pos = [-3000, 160];
            for (const one of after) one.pos = [3000, 160];
            shown.pos = [300, 160];
            shown.setSize([width, shown.computeSize()[1]]);
            app.canvas.ds.scale = scale;
            app.canvas.ds.offset = [0, 0];
            app.canvas.setDirty(true, true);
            return shown.id;
        }""",
        [kind, FULL, NODE / FULL],
    )
    drawn = comfy.page.locator(f"[data-node-id='{number}']")
    drawn.wait_for()
    comfy.page.wait_for_timeout(2000)
    box = drawn.bounding_box()
    assert box is not None
    margin = (PANEL - box["width"]) / 2
    clip = {"x": box["x"] - margin, "y": box["y"] - margin, "width": PANEL, "height": box["height"] + 2 * margin}
    return read_rgb(comfy.page.screenshot(clip=clip))


def stacked(images: Sequence[Image.Image], gap: int, width: int) -> Image.Image:
    """The images in one column, each scaled to this width."""
    fitted = [one.resize((width, round(one.height * width / one.width)), Image.Resampling.LANCZOS) for one in images]
    paper = Image.new("RGB", (width, sum(one.height for one in fitted) + gap * (len(fitted) - 1)), PAPER)
    top = 0
    for one in fitted:
        paper.paste(one, (0, top))
        top += one.height + gap
    return paper


def with_its_result(comfy: ComfyPage, scene_of: Callable[[Scene, Server], str]) -> Image.Image:
    scene = Scene()
    kind = scene_of(scene, comfy.server)
    boxes = sheet(pictures(scene, comfy.server))
    wide = Image.new("RGB", (3 * BOX + 2 * BETWEEN, boxes.height), PAPER)
    wide.paste(boxes, ((wide.width - boxes.width) // 2, 0))
    return stacked([node(comfy, scene.prompt, kind), wide], BETWEEN, wide.width)


def moving(comfy: ComfyPage) -> Image.Image:
    """The editor: a face of the gallery whose nose the Move tool holds."""
    editor = comfy.edit()
    editor.frame.get_by_role("button", name=FACE, exact=True).click()
    editor.frame.locator("dialog").wait_for(state="detached")
    rows, columns = (editor.ids == NOSE).nonzero(as_tuple=True)
    editor.keys("v")
    editor.click(int(columns.float().mean()), int(rows.float().mean()))
    editor.choose(NOSE)
    return stacked([read_rgb(comfy.page.screenshot())], 0, SHOWN)


def living(comfy: ComfyPage) -> Image.Image:
    """The node and the picture that it leads to, and the editor with Live, after the README's strokes."""
    comfy.open_painting(TEMPLATE)
    comfy.do_js(f"{WORDS}.value = given", PROMPT)
    comfy.do_js(f"{SEED_OF_NOISE}.value = given", SEED)
    editor = comfy.edit()
    for stroke in STROKES:
        editor.choose(stroke.class_id)
        editor.do("editor.brush.setSize(given);", stroke.width)
        editor.drag(*stroke.points)
    editor.count_pictures()
    editor.keys("w")
    editor.wait_for_picture(1)
    painted = read_rgb(comfy.page.screenshot())
    editor.done()
    comfy.queue()
    comfy.do_js("""
        const [painter, save] = ['MoGLEMaskPainter', 'SaveImage'].map((kind) =>
            app.graph.nodes.find((node) => node.type === kind));
        for (const node of app.graph.nodes) node.pos = [3000, 100];
        app.graph.groups.length = 0;
        [painter.pos, save.pos] = [[320, 130], [760, 130]];
        app.canvas.ds.scale = 1;
        app.canvas.ds.offset = [0, 0];
        app.canvas.setDirty(true, true);
    """)
    comfy.page.wait_for_timeout(3000)
    box = comfy.page.locator(f"[data-node-id='{comfy.js(f'{PAINTER}.id')}']").bounding_box()
    assert box is not None
    clip = {"x": 100, "y": box["y"] - 8, "width": 1200, "height": box["height"] + 28}
    return stacked([read_rgb(comfy.page.screenshot(clip=clip)), painted], 0, SHOWN)


FILES: dict[str, tuple[bool, int, Callable[[ComfyPage], Image.Image]]] = {
    "painter_classic": (False, 1, moving),
    "painter_vue": (True, 1, living),
    "MoGLELoader": (True, 2, lambda comfy: with_its_result(comfy, network)),
    "MoGLESaveMasks": (True, 2, lambda comfy: with_its_result(comfy, saved)),
    "MoGLELoadMasks": (True, 2, lambda comfy: with_its_result(comfy, loaded)),
}
"""For each file: whether the newer renderer draws it, the device pixel ratio, and the function that makes it."""


def page(browser: Browser, server: Server, vue: bool, density: int) -> ComfyPage:
    comfy = visit(browser, server, vue, density=density)
    comfy.page.set_viewport_size(WINDOW)
    return comfy


def main(names: Sequence[str]) -> None:
    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}, ["--cpu"], 400) as server, running() as browser:
        install(server.base)
        for name, (vue, density, make) in FILES.items():
            if not names or name in names:
                comfy = page(browser, server, vue, density)
                save_jpeg(PAGES / f"{name}.jpg", make(comfy))
                comfy.page.close()


if __name__ == "__main__":
    main(sys.argv[1:])
