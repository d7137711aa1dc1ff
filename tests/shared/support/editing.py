"""The open editor of the painter, used by the tests with a real mouse and real keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from playwright.sync_api import FrameLocator, Locator, Page
from torch import Tensor

SIDE, ZOOM = 64, 8  # of the sheet that most tests paint on
WINDOW = "iframe.mogle-painter-window"
EDITOR = f"document.querySelector('{WINDOW}').contentWindow.editor"


class Editor:
    """The open editor of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frame: FrameLocator = page.frame_locator(WINDOW)

    @property
    def canvas(self) -> Locator:
        return self.frame.locator("canvas.stage")

    def js(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(f"(given) => {{ const editor = {EDITOR}; return {expression}; }}", argument)

    def do(self, statements: str, argument: Any = None) -> None:
        self.page.evaluate(f"(given) => {{ const editor = {EDITOR}; {statements} }}", argument)

    @property
    def ids(self) -> Tensor:
        found = self.js("({ ids: [...editor.sheet.map.ids], width: editor.sheet.width })")
        return torch.tensor(found["ids"], dtype=torch.uint8).view(-1, found["width"])

    @property
    def pencil(self) -> Tensor | None:
        found = self.js(
            "editor.sheet.map.pencil && { pencil: [...editor.sheet.map.pencil], width: editor.sheet.width }"
        )
        return found and torch.tensor(found["pencil"], dtype=torch.uint8).view(-1, found["width"])

    def area(self, class_id: int) -> int:
        return int((self.ids == class_id).sum())

    def button(self, name: str) -> Locator:
        return self.frame.get_by_role("button", name=name, exact=True)

    def empty(self, side: int = SIDE, zoom: float = ZOOM) -> None:
        """An empty canvas with its history, centred, with every setting at its default."""
        self.do(
            """
            editor.pen.giveUp();
            editor.pen.point(null);
            editor.classes.clearMarks();
            editor.sheet.mirror = null;
            editor.sheet.history.steps.length = editor.sheet.history.done = 0;
            const ids = new Uint8Array(given * given);
            editor.steps.replace({ width: given, height: given, ids, isPainted: true, isDrawn: false }, 'test');
            Object.assign(editor.display, { grid: false, distinct: false });
            Object.assign(editor.pencil, { isShown: true, strength: 1, share: 1 });
            editor.brush.sizes.pencil = 3;
            editor.brush.pressure = true;
            editor.brush.setSize(1);
            editor.pen.take('brush');
            editor.classes.choose(1);
            editor.page.canvas.focus();
            """,
            side,
        )
        self.zoom(zoom)

    def zoom(self, zoom: float) -> None:
        """Zooms, with the centre of the map in the centre of the canvas."""
        self.do(
            """
            editor.scene.zoom(given / editor.scene.view.zoom);
            editor.scene.view.centre({ x: editor.sheet.width / 2, y: editor.sheet.height / 2 });
            editor.scene.redraw();
            """,
            zoom,
        )

    @contextmanager
    def held(self, start: tuple[float, float], end: tuple[float, float]) -> Iterator[None]:
        """A stroke from pixel to pixel of the map, with the button still down."""
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down()
        mouse.move(*self.at(*end))
        yield
        mouse.up()

    def choose(self, class_id: int) -> None:
        self.do("editor.classes.choose(given);", class_id)

    def box(self, class_id: int, x: int, y: int, width: int, height: int) -> None:
        """Draws a rectangle with the rectangle tool."""
        self.choose(class_id)
        self.keys("r")
        self.drag((x, y), (x + width - 1, y + height - 1))

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The pixel of the page that shows the centre of pixel (x, y) of the map."""
        left, top, zoom = self.js("""(() => {
            const { left, top } = editor.page.canvas.getBoundingClientRect();
            const { x, y, zoom } = editor.scene.view;
            return [left + x, top + y, zoom];
        })()""")
        return round(left + (x + 0.5) * zoom), round(top + (y + 0.5) * zoom)

    def under(self, place: tuple[int, int]) -> tuple[float, float]:
        """The point of the map below a pixel of the page."""
        found = self.js("editor.scene.view.toMap({ clientX: given[0], clientY: given[1] })", list(place))
        return found["x"], found["y"]

    def drag(self, *points: tuple[float, float]) -> None:
        """Presses on the first pixel, moves straight to each of the others, and releases."""
        places = [self.at(*point) for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        self.drag((x, y))

    def pointer(
        self, kind: str, x: float, y: float, by: str, pointer_id: int, pressure: float = 0.5, **more: int
    ) -> None:
        """Sends a pointer event of a pen or touch (`by`), at pixel (x, y) of the map."""
        place = self.at(x, y)
        event = {
            "clientX": place[0], "clientY": place[1], "pressure": pressure, "pointerType": by,
            "pointerId": pointer_id, "button": 0, "bubbles": True, **more,
        }  # fmt: skip
        self.do("""
            const { PointerEvent } = editor.page.document.defaultView;
            editor.page.canvas.dispatchEvent(new PointerEvent(given[0], given[1]));
            """, [kind, event])  # fmt: skip

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def count_pictures(self) -> None:
        """Counts in the page how often Live shows a picture: a stroke may bring the same one again."""
        self.do("""
            editor.pictures = 0;
            const show = editor.live.onPicture;
            editor.live.onPicture = () => { editor.pictures++; show(); };
        """)

    def wait_for_picture(self, number: int) -> None:
        """Waits until Live has shown this many pictures since `count_pictures`, and no run is on."""
        self.page.wait_for_function(f"() => {EDITOR}.pictures >= {number} && {EDITOR}.live.pane.ring.hidden")

    def done(self) -> None:
        self.button("Done").click()
        self.wait_until_closed()

    def leave(self) -> None:
        """Closes the editor if it is open, even with unfinished work in it."""
        if self.page.locator(WINDOW).count():
            self.do("editor.close();")
            self.wait_until_closed()

    def wait_until_closed(self) -> None:
        self.page.locator(WINDOW).wait_for(state="detached")
