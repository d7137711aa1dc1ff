"""Records docs/painting.webp: someone paints on the real page, and the toy world's picture follows each stroke.

    python tests/web/recording.py [--out FILE] [--stills FOLDER]

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see tests/host/environment.py) and has playwright,
with a Chromium. A frame is a screenshot of the page. How long each is shown is decided here, so the time that a picture
takes is cut.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts
from support.browser import ComfyPage, running, visit
from support.comfy_server import Server
from support.editing import Editor
from support.image_files import read_rgb
from support.templates import template

from mogle_core.toy.install import install

TEMPLATE = template("Paint a face")
FILE = hosts.REPOSITORY / "docs/painting.webp"
PAGE = (1280, 720)
MOVING, WAITING, LOOKING, LAST = 80, 300, 1100, 2400  # milliseconds
HAIR, HAT = 13, 14
SEED_OF_NOISE = "app.graph.nodes.find((node) => node.type === 'KSampler').widgets[0]"
TEXT = "app.graph.nodes.find((node) => node.type === 'MoGLEToyPrompt').widgets[0]"
Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A line of the brush: its class, its width in pixels of the map, and where it goes."""

    class_id: int
    width: int
    points: Sequence[Point]


STROKES = (
    Stroke(HAIR, 62, [(118, 250), (108, 300), (104, 350), (108, 400), (118, 450)]),
    Stroke(HAIR, 62, [(394, 250), (404, 300), (408, 350), (404, 400), (394, 450)]),
    Stroke(HAT, 130, [(172, 140), (200, 96), (256, 78), (312, 96), (340, 140), (256, 140)]),
    Stroke(HAT, 44, [(76, 172), (166, 178), (256, 180), (346, 178), (436, 172)]),
)
PROMPT = (
    "A woman with long straight brown hair in a red sweater in front of a blue background. The woman is wearing pink "
    "lipstick and a red hat. The woman has fair skin, blue eyes and arched eyebrows and is smiling."
)
SEED = 3


@dataclass
class Film:
    """The frames so far, and how many milliseconds each is shown."""

    editor: Editor
    frames: list[Image.Image] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def take(self, milliseconds: int) -> None:
        taken = self.editor.page.screenshot(type="png")
        self.frames.append(read_rgb(taken))
        self.times.append(milliseconds)

    def save(self, file: Path) -> None:
        first, *rest = self.frames
        first.save(
            file, save_all=True, append_images=rest, duration=self.times, loop=0, quality=82, method=6, kmax=1000
        )


def paint(film: Film, stroke: Stroke) -> None:
    editor, mouse = film.editor, film.editor.page.mouse
    editor.choose(stroke.class_id)
    editor.do("editor.brush.setSize(given);", stroke.width)
    places = [editor.at(*point) for point in stroke.points]
    mouse.move(*places[0])
    film.take(4 * MOVING)
    mouse.down()
    for place in between(places):
        mouse.move(*place)
        film.take(MOVING)
    mouse.up()


def between(places: Sequence[tuple[int, int]]) -> Iterator[tuple[float, float]]:
    """The places, and one halfway to each."""
    for here, there in zip(places, places[1:], strict=False):
        yield (here[0] + there[0]) / 2, (here[1] + there[1]) / 2
        yield there


def record(comfy: ComfyPage) -> Film:
    comfy.open_painting(TEMPLATE)
    comfy.do_js(f"{TEXT}.value = given", PROMPT)
    comfy.do_js(f"{SEED_OF_NOISE}.value = given", SEED)
    editor = comfy.edit()
    editor.count_pictures()
    editor.keys("w")
    editor.wait_for_picture(1)
    film = Film(editor)
    film.take(LOOKING)
    for number, stroke in enumerate(STROKES):
        paint(film, stroke)
        film.take(WAITING)
        editor.wait_for_picture(number + 2)
        film.take(LAST if number == len(STROKES) - 1 else LOOKING)
    editor.done()
    return film


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--out", type=Path, default=FILE)
    options.add_argument("--stills", type=Path, help="also write every frame as a PNG there")
    chosen = options.parse_args()
    packs = {"ComfyUI-MoGLE": hosts.REPOSITORY}
    with Server(hosts.choose(), packs, ["--cpu"], 400) as server, running() as browser:
        install(server.base)
        comfy = visit(browser, server, False)
        comfy.page.set_viewport_size({"width": PAGE[0], "height": PAGE[1]})
        film = record(comfy)
        comfy.leave()
    film.save(chosen.out)
    if chosen.stills:
        chosen.stills.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(film.frames):
            frame.save(chosen.stills / f"{number:03}.png")
    seconds, size = sum(film.times) / 1000, chosen.out.stat().st_size / 1e6
    print(f"{chosen.out.name}: {len(film.frames)} frames, {seconds:.1f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
