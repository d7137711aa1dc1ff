"""Makes docs/hand_sketches.jpg: ten faces drawn in the painter with a mouse, and what the toy world makes of them.

    python tests/web/drawing.py [--out FILE] [--weights DIR] [--first FILE]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see tests/host/environment.py) and has playwright,
with a Chromium. Each stroke is pressed, moved and released with the page's mouse, with a hand that shakes and does not
quite close its lines. The lines are written down here, independently of the toy's drawer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts
from support.browser import PAINTER, ComfyPage, running, visit
from support.comfy_server import Server
from support.editing import EDITOR, Editor
from support.image_files import read_rgb
from support.templates import template

from mogle_core.toy.install import install
from mogle_core.toy.places import WEIGHTS

TEMPLATE = template("Draw with the pencil")
FILE = hosts.REPOSITORY / "docs/hand_sketches.jpg"
PAGE = {"width": 1280, "height": 720}
SIDE, PENCIL = 512, 5  # pixels of the sheet and of the pencil's line
STEP = 12  # pixels of the sheet from one event of the mouse to the next
SHOWN, GAP, COLUMNS = 256, 8, 5
TEXT = "app.graph.nodes.find((node) => node.type === 'MoGLEToyPrompt').widgets[0]"

Point = tuple[float, float]
Line = Sequence[Point]


@dataclass(frozen=True)
class Face:
    """A drawing, in hundredths of the sheet. hair: its lines. mouth: half its width, and how far its corners rise.

    eyes: half the distance between them, half their width, half their height. jaw: half the face's width and its chin.
    brows: how far their middle rises. collar: the neckline's lines.
    """

    prompt: str
    hair: Sequence[Line]
    mouth: Point = (7, 1.2)
    eyes: tuple[float, float, float] = (9, 4.5, 2.6)
    jaw: Point = (18.5, 77)
    brows: float = 1.6
    nose: float = 4.2
    collar: Sequence[Line] = (((36, 87), (43, 93), (50, 95), (57, 93), (64, 87)),)
    glasses: bool = False
    earrings: bool = False
    ears: bool = True
    open_mouth: bool = False


CAP = ((29, 48), (27, 36), (30, 24), (39, 15), (50, 12.5), (61, 15), (70, 24), (73, 36), (71, 48))
FRINGE = ((31, 38), (40, 36), (50, 35.5), (60, 36), (69, 38))
BOB = (
    ((28, 46), (26, 34), (30, 22), (40, 13.5), (50, 12), (60, 13.5), (70, 22), (74, 34), (73, 50), (75, 66), (72, 78)),
    ((28, 46), (26, 58), (24, 70), (27, 78)),
    ((27, 78), (33, 79.5), (38, 78)),
    ((72, 78), (67, 79.5), (62, 78)),
)
LONG = (
    ((30, 40), (26, 30), (31, 19), (41, 13), (50, 12), (59, 13), (69, 19), (74, 30), (77, 50), (80, 70), (81, 90)),
    ((30, 40), (24, 55), (21, 72), (19, 90)),
)


def waves(x: float, top: float, bottom: float, reach: float = 1.4) -> Line:
    return [(x + reach * (-1) ** n, y) for n, y in enumerate(np.arange(top, bottom, 4.5))]


FACES = (
    Face("A woman with medium straight black hair in a red dress in front of a blue background.", [*BOB, FRINGE]),
    Face(
        "A man with short straight brown hair in a green sweater in front of a white background.",
        [CAP, ((31, 44), (35, 31), (44, 26), (56, 26), (65, 31), (69, 44))],
        mouth=(8, 0.3), jaw=(20, 78), brows=0.8, nose=5,
    ),
    Face(
        "A woman with long wavy blond hair in a purple dress in front of a grey background. The woman is smiling.",
        [
            [(x + (n % 2) * 1.5, y) for n, (x, y) in enumerate(LONG[0])],
            [(x - (n % 2) * 1.5, y) for n, (x, y) in enumerate(LONG[1])],
            ((50, 13), (41, 22), (34, 36), (31, 46)), ((50, 13), (60, 22), (66, 36), (69, 46)),
            waves(25, 50, 88), waves(75, 50, 88),
        ],
        mouth=(9, 2.2), ears=False,
    ),
    Face(
        "A man with short curly black hair and glasses in a blue T-shirt in front of an orange background.",
        [
            [(50 + 23 * np.cos(a) * (1 + 0.05 * (-1) ** n), 36 + 23 * np.sin(a) * (1 + 0.05 * (-1) ** n))
             for n, a in enumerate(np.linspace(np.pi * 0.92, np.pi * 2.08, 24))],
            ((32, 40), (38, 32), (50, 29), (62, 32), (68, 40)),
        ],
        glasses=True, mouth=(7.5, 0.6), jaw=(19.5, 78),
    ),
    Face(
        "A woman with short straight grey hair in a blue shirt in front of a green background.",
        [CAP, ((30, 44), (34, 32), (45, 24), (58, 27), (66, 34), (70, 44)), ((50, 13), (42, 18), (36, 26))],
        mouth=(6, -0.4), eyes=(8.6, 4, 2.0), brows=2.4, earrings=True,
        collar=(((40, 86), (44, 96)), ((60, 86), (56, 96)), ((44, 96), (50, 91), (56, 96))),
    ),
    Face(
        "A woman with long straight red hair in a white sweater in front of a blue background. The woman is smiling.",
        [*LONG, FRINGE, ((27, 50), (25, 70), (24, 88)), ((74, 50), (76, 70), (77, 88))],
        mouth=(9, 2), open_mouth=True, ears=False,
    ),
    Face(
        "A man with short straight blond hair in a yellow T-shirt in front of a purple background.",
        [((30, 46), (28, 34), (33, 22), (44, 15), (58, 14), (68, 21), (72, 34), (70, 46)),
         ((32, 42), (38, 27), (52, 24), (63, 28), (68, 42)), ((58, 14), (50, 19), (43, 25))],
        mouth=(9, 2.2), jaw=(21, 77), brows=1.0, nose=5, open_mouth=True,
    ),
    Face(
        "A woman with medium curly brown hair in a green dress in front of a white background.",
        [
            [(50 + 27 * np.cos(a) * (1 + 0.05 * (-1) ** n), 40 + 28 * np.sin(a) * (1 + 0.05 * (-1) ** n))
             for n, a in enumerate(np.linspace(np.pi * 0.75, np.pi * 2.25, 34))],
            ((33, 46), (36, 34), (50, 27), (64, 34), (67, 46)), ((33, 46), (32, 60)), ((67, 46), (68, 60)),
        ],
        ears=False, brows=2.0, mouth=(6.5, 1),
    ),
    Face(
        "A woman with short straight pink hair in a black shirt in front of a yellow background.",
        [CAP, FRINGE, ((36, 20), (35, 37)), ((45, 14), (44, 36)), ((56, 14), (57, 36)), ((64, 20), (66, 37))],
        eyes=(9.5, 5, 3.2), mouth=(6, 0.4), glasses=True,
    ),
    Face(
        "A man with medium wavy brown hair in a red sweater in front of a grey background.",
        [[(x + 1.2 * (-1) ** n, y) for n, (x, y) in enumerate(BOB[0])], BOB[1],
         ((31, 46), (36, 32), (47, 23)), ((47, 23), (60, 28), (68, 42))],
        mouth=(8, -0.6), jaw=(19.5, 79), nose=4.8, brows=0.6,
        collar=(((38, 84), (44, 88), (56, 88), (62, 84)),),
    ),
)  # fmt: skip


def lines_of(face: Face) -> Iterator[Line]:
    """The face's lines, in hundredths of the sheet."""
    half, chin = face.jaw
    yield from face.hair
    yield ((50 - half, 46), (49 - half + 1, 56), (50 - 0.72 * half, 66), (50 - 0.35 * half, chin - 2.5), (50, chin))
    yield ((50 + half, 46), (51 + half - 1, 56), (50 + 0.72 * half, 66), (50 + 0.35 * half, chin - 2.5), (50, chin))
    apart, width, height = face.eyes
    for side in (-1, 1):
        x = 50 + side * apart
        yield from ellipse(x, 45, width, height)
        yield from ellipse(x, 45, 0.42 * width, 0.42 * width)
        yield ((x - width - 0.5, 39.6), (x, 39.6 - face.brows), (x + width + 0.5, 39.8))
        if face.glasses:
            yield from ellipse(x, 45.5, width + 2.6, 5)
        if face.ears:
            ear = 50 + side * (half + 0.5)
            yield ((ear, 45), (ear + side * 3, 43.5), (ear + side * 4, 48), (ear + side * 2.5, 54), (ear, 56))
        if face.earrings:
            yield from ellipse(50 + side * (half + 3), 59, 2, 2)
        yield ((50 + side * 10, chin - 4), (50 + side * 10, 87))
        yield ((50 + side * 10, 87), (50 + side * 24, 90), (50 + side * 36, 94), (50 + side * 43, 99))
    if face.glasses:
        yield ((50 - apart + width + 2.6, 45), (50, 44), (50 + apart - width - 2.6, 45))
    wing = 50 - face.nose
    yield ((48.5, 46), (47.8, 54), (wing, 60), (wing + 0.5, 62.5), (50, 64))
    yield ((51.5, 46), (52.2, 54), (100 - wing, 60), (99.5 - wing, 62.5), (50, 64))
    mouth, rise = face.mouth
    yield ((50 - mouth, 68 - rise), (46, 66.6), (50, 67.2), (54, 66.6), (50 + mouth, 68 - rise))
    yield ((50 - mouth, 68 - rise), (46, 68.6), (50, 69), (54, 68.6), (50 + mouth, 68 - rise))
    deep = 73 if face.open_mouth else 71.8
    yield ((50 - mouth, 68 - rise), (45.5, deep - 0.8), (50, deep), (54.5, deep - 0.8), (50 + mouth, 68 - rise))
    yield from face.collar


def ellipse(x: float, y: float, width: float, height: float) -> Iterator[Line]:
    """One round line, which ends a little after where it began."""
    yield [(x + width * np.cos(a), y + height * np.sin(a)) for a in np.linspace(-0.5, 2 * np.pi - 0.4, 14)]


def by_hand(line: Line, rng: np.random.Generator) -> NDArray[np.float64]:
    """The events of the mouse (N, 2) in pixels of the sheet: smooth, shaking, and not quite from end to end."""
    corners = np.asarray(line, dtype=float) * SIDE / 100
    away = np.concatenate([[0], np.hypot(*np.diff(corners, axis=0).T).cumsum()])
    along = np.linspace(rng.uniform(-2, 3), away[-1] - rng.uniform(-2, 3), max(3, round(away[-1] / STEP)))
    fine = np.stack([np.interp(along, away, corners[:, axis]) for axis in (0, 1)], axis=1)
    padded = np.pad(fine, ((2, 2), (0, 0)), mode="edge")
    smooth = (padded[:-4] + 2 * padded[1:-3] + 3 * fine + 2 * padded[3:-1] + padded[4:]) / 9
    drift = np.cumsum(rng.normal(0, 0.45, smooth.shape), axis=0)
    return np.clip(smooth + drift - drift.mean(0) + rng.normal(0, 0.8, (1, 2)), 1, SIDE - 2)


def draw(editor: Editor, face: Face, number: int) -> None:
    rng = np.random.default_rng(number)
    for line in lines_of(face):
        editor.drag(*map(tuple, by_hand(line, rng)))


def made(comfy: ComfyPage, face: Face, number: int) -> tuple[Image.Image, Image.Image, str]:
    """The drawing, the face that follows it, and the painter's text."""
    comfy.do_js(f"{PAINTER}.widgets[0].value = ''")
    comfy.do_js(f"{TEXT}.value = given", face.prompt)
    editor = comfy.edit()
    editor.button("Empty").click()
    comfy.page.wait_for_function(f"() => {EDITOR}?.sheet?.width === {SIDE}")
    editor.keys("d")
    editor.do("editor.brush.setSize(given);", PENCIL)
    draw(editor, face, number)
    editor.done()
    nodes = {node["class_type"]: key for key, node in comfy.prompt().items()}
    outputs = comfy.queue()
    sketch, picture = (outputs[nodes[kind]]["images"][0] for kind in ("PreviewImage", "SaveImage"))
    return *(opened(comfy.server.picture(saved)) for saved in (sketch, picture)), comfy.value


def opened(content: bytes) -> Image.Image:
    return read_rgb(content).resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)


def sheet(pairs: Sequence[tuple[Image.Image, Image.Image]]) -> Image.Image:
    """Each drawing above its face."""
    rows = -(-len(pairs) // COLUMNS)
    width, height = COLUMNS * (SHOWN + GAP) - GAP, rows * (2 * SHOWN + 2 * GAP) - GAP
    paper = Image.new("RGB", (width, height), "white")
    for number, pair in enumerate(pairs):
        row, column = divmod(number, COLUMNS)
        for below, image in enumerate(pair):
            paper.paste(image, (column * (SHOWN + GAP), row * (2 * SHOWN + 2 * GAP) + below * SHOWN))
    return paper


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--out", type=Path, default=FILE)
    options.add_argument("--weights", type=Path, default=WEIGHTS, help="a folder with the toy's six files")
    options.add_argument("--first", type=Path, help="also write the first painting's text, as a workflow stores it")
    options.add_argument("--faces", type=int, default=len(FACES))
    chosen = options.parse_args()
    packs = {"ComfyUI-MoGLE": hosts.REPOSITORY}
    with Server(hosts.choose(), packs, ["--cpu"], 400) as server, running() as browser:
        install(server.base, chosen.weights)
        comfy = visit(browser, server, False)
        comfy.page.set_viewport_size(PAGE)
        comfy.open_painting(TEMPLATE)
        results = [made(comfy, face, number) for number, face in enumerate(FACES[: chosen.faces])]
        comfy.leave()
    sheet([(sketch, picture) for sketch, picture, _ in results]).save(chosen.out, quality=86, optimize=True)
    if chosen.first:
        chosen.first.write_text(results[0][2])


if __name__ == "__main__":
    main()
