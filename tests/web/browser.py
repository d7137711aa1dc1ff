"""A page of a real ComfyUI in a real Chromium, and the painter's editor in it, as the tests drive them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comfy_server import Server
from playwright.sync_api import ConsoleMessage, FrameLocator, Locator, Page, Request, sync_playwright
from torch import Tensor

from mogle_core.painting import read_painting

VARIABLE = "CHROMIUM_PATH"
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--proxy-server=http://127.0.0.1:9"),
    "--proxy-bypass-list=127.0.0.1;localhost",
)
PATIENCE = 300_000  # in ms: a loaded machine takes minutes to show the page
WINDOW = "iframe.mogle-painter-window"
EDITOR = f"document.querySelector('{WINDOW}').contentWindow.editor"
READY = """() => window.app?.graph && app.canvas && app.extensionManager?.workflow?.activeWorkflow
    && !document.querySelector('#splash-loader') && Object.keys(LiteGraph.registered_node_types).length > 100"""
PAINTER = "app.graph.nodes.find((node) => node.type === 'MoGLEMaskPainter')"


def chromium() -> str | None:
    """The browser that CHROMIUM_PATH names, or the system's; playwright's own is never downloaded."""
    named = os.environ.get(VARIABLE)
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class ComfyPage:
    """ComfyUI's page. `complaints` are errors that the painter may have to do with, `strangers` foreign requests."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._complain(f"{error.message}\n{error.stack}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complain(f"{message.text} {message.location.get('url', '')}")

    def _complain(self, text: str) -> None:
        # The frontends have errors of their own, such as settings files that are not there yet.
        if "ogle" in text.lower() or "painter" in text.lower():
            self.complaints.append(text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.server.url, "data:", "blob:", "about:")):
            self.strangers.append(request.url)

    def open(self) -> None:
        self.page.goto(self.server.url)
        self.page.wait_for_function(READY)

    def reload(self) -> None:
        self.page.reload()
        self.page.wait_for_function(READY)

    def js(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(f"(given) => {expression}", argument)

    def wait(self, expression: str) -> None:
        self.page.wait_for_function(f"() => {expression}")

    def lay_out(self) -> None:
        """A new graph of the painter and Save Image, the painter in the middle."""
        self.page.evaluate("""() => {
            app.graph.clear();
            const painter = LiteGraph.createNode('MoGLEMaskPainter');
            const save = LiteGraph.createNode('SaveImage');
            app.graph.add(painter);
            app.graph.add(save);
            [painter.pos, save.pos] = [[200, 150], [560, 150]];
            painter.connect(0, save, 0);
            app.canvas.ds.scale = 1;
            app.canvas.ds.offset = [0, 0];
            app.canvas.setDirty(true, true);
            const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
            (tracker.captureCanvasState ?? tracker.checkState).call(tracker);
        }""")

    @property
    def value(self) -> str:
        return self.js(f"{PAINTER}.widgets[0].value")

    @property
    def ids(self) -> Tensor:
        ids = read_painting(self.value)
        assert ids is not None
        return ids

    @property
    def editor(self) -> Editor:
        return Editor(self)

    def edit(self) -> Editor:
        """Opens the editor by the node's button."""
        self.page.get_by_role("button", name="Paint: open the editor").first.click()
        self.editor.canvas.wait_for()
        return self.editor

    def prompt(self) -> dict[str, Any]:
        return json.loads(self.js("app.graphToPrompt().then(({ output }) => JSON.stringify(output))"))


class Editor:
    """The open editor, under a real mouse and real keys."""

    def __init__(self, comfy: ComfyPage) -> None:
        self.comfy, self.page = comfy, comfy.page
        self.frame: FrameLocator = comfy.page.frame_locator(WINDOW)

    @property
    def canvas(self) -> Locator:
        return self.frame.locator("canvas.stage")

    def js(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(f"(given) => {{ const editor = {EDITOR}; return {expression}; }}", argument)

    @property
    def ids(self) -> Tensor:
        found = self.js("({ ids: [...editor.sheet.map.ids], width: editor.sheet.width })")
        return torch.tensor(found["ids"], dtype=torch.uint8).view(-1, found["width"])

    def button(self, name: str) -> Locator:
        return self.frame.get_by_role("button", name=name, exact=True)

    def empty(self, side: int, zoom: float) -> None:
        """An empty sheet of its own history, in the middle, with every setting at rest."""
        self.js(
            """{
            editor.pen.giveUp(); editor.marks.clear(); editor.isMirrored = false; editor.sheet.mirror = null;
            editor.sheet.history.steps.length = editor.sheet.history.done = 0;
            editor.replace({ width: given, height: given, ids: new Uint8Array(given * given) }, 'test');
            Object.assign(editor.wishes, { grid: false, distinct: false, pressure: true }); editor.setSize(1);
            editor.take('brush'); editor.choose(1); editor.canvas.focus();
            }""".replace("{\n", "(() => {", 1).rstrip()[:-1]
            + "})()",
            side,
        )
        self.zoom(zoom)

    def zoom(self, zoom: float) -> None:
        self.js("editor.zoom(given / editor.view.zoom)", zoom)
        self.js("(editor.view.centre({ x: editor.sheet.width / 2, y: editor.sheet.height / 2 }), editor.redraw())")

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The pixel of the page that shows the middle of pixel (x, y) of the map."""
        left, top, zoom = self.js("""(() => {
            const box = editor.canvas.getBoundingClientRect();
            return [box.left + editor.view.x, box.top + editor.view.y, editor.view.zoom];
        })()""")
        return round(left + (x + 0.5) * zoom), round(top + (y + 0.5) * zoom)

    def under(self, place: tuple[int, int]) -> tuple[float, float]:
        """The point of the map at a pixel of the page."""
        found = self.js("editor.view.toMap({ clientX: given[0], clientY: given[1] })", list(place))
        return found["x"], found["y"]

    def drag(self, *points: tuple[float, float]) -> None:
        """Presses on the first pixel, goes straight to each other one, and lifts."""
        places = [self.at(*point) for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        self.drag((x, y))

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def done(self) -> None:
        self.button("Done").click()
        self.page.locator(WINDOW).wait_for(state="detached")


@contextmanager
def browsing(server: Server) -> Iterator[Callable[[bool], ComfyPage]]:
    """Gives a function that opens ComfyUI in a new profile, in the newer renderer or the classic one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(OPTIONS))

        def visit(vue: bool) -> ComfyPage:
            for name, setting in (("Comfy.TutorialCompleted", True), ("Comfy.VueNodes.Enabled", vue)):
                server.post(f"/settings/{name}", setting)
            comfy = ComfyPage(browser.new_page(viewport={"width": 1400, "height": 900}), server)
            comfy.open()
            comfy.lay_out()
            return comfy

        yield visit
        browser.close()


def wait_until(is_so: Callable[[], bool], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.1)
