"""A page of a real ComfyUI in a real Chromium, and how the tests use it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, TimeoutError, sync_playwright
from torch import Tensor

from mogle_core.masks.painting import read_painting
from support.comfy_server import Server
from support.console import is_of_the_host
from support.editing import Editor

VARIABLE = "CHROMIUM_PATH"
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--proxy-server=http://127.0.0.1:9"),
    "--proxy-bypass-list=127.0.0.1;localhost",
)
PATIENCE = 300_000  # in ms: a loaded machine takes minutes to show the page
# The page's spinner turns until the first workflow is loaded: before that, the page still replaces the graph.
READY = """() => window.app?.graph && app.canvas && app.extensionManager?.workflow?.activeWorkflow
    && !app.extensionManager.spinner && !document.querySelector('#splash-loader')
    && Object.keys(LiteGraph.registered_node_types).length > 100"""
PAINTER = "app.graph.nodes.find((node) => node.type === 'MoGLEMaskPainter')"
NOTHING = (900, 600)  # a pixel of the page where `lay_out` leaves the graph empty


def chromium() -> str | None:
    """The browser that CHROMIUM_PATH names, or the system's. Playwright's browser is never downloaded."""
    named = os.environ.get(VARIABLE)
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class ComfyPage:
    """ComfyUI's page. `complaints` are errors that ComfyUI alone does not cause, `strangers` foreign requests."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._complain(f"{error.message}\n{error.stack}"))  # rejections too
        page.on("request", self._request)
        # With a listener that stays, choosers are caught from the start. `expect_file_chooser` alone tells the page to
        # catch them at the same time as the key is pressed, and on a busy page the key may come first.
        page.on("filechooser", lambda chooser: None)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complain(f"{message.text} {message.location.get('url', '')}")

    def _complain(self, text: str) -> None:
        if not is_of_the_host(text):
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

    def leave(self) -> None:
        self.page.close()
        assert self.complaints == []
        assert self.strangers == []

    def js(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(f"(given) => {expression}", argument)

    def do_js(self, statements: str, argument: Any = None) -> None:
        self.page.evaluate(f"(given) => {{ {statements}; }}", argument)

    def wait(self, expression: str) -> None:
        self.page.wait_for_function(f"() => {expression}")

    def command(self, name: str) -> None:
        """Runs what one of the frontend's menus or keys runs."""
        self.js("app.extensionManager.command.execute(given)", name)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def lay_out(self) -> None:
        """A new graph of a painter, in the middle, and Save Image."""
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

    def click_title(self, node: str = PAINTER) -> None:
        """Selects a node as a user does, and clicks again if the page had not yet drawn the node there."""
        is_selected = f"() => Object.values(app.canvas.selected_nodes).some((one) => one.id == ({node}).id)"
        for _ in range(12):
            self.page.mouse.click(*self._title(node))
            with suppress(TimeoutError):
                self.page.wait_for_function(is_selected, timeout=5_000)
                return
        raise AssertionError(f"A click on the title did not select {node}.")

    def _title(self, node: str) -> tuple[float, float]:
        """A pixel of the page in the title of a node."""
        x, y = self.js(f"""(() => {{
            const {{ scale, offset }} = app.canvas.ds;
            const box = app.canvas.canvas.getBoundingClientRect();
            const [x, y] = ({node}).pos;
            return [box.left + (x + 90 + offset[0]) * scale, box.top + (y - 15 + offset[1]) * scale];
        }})()""")
        return x, y

    def drop(self, file: Path) -> None:
        """Drops a real file on the empty graph, and tries again if a busy page missed it."""
        self.do_js("window.addEventListener('drop', () => { window.dropped = true; }, true)")
        for _ in range(12):
            self.do_js("window.dropped = false")
            self._drag(file)
            with suppress(TimeoutError):
                self.page.wait_for_function("() => window.dropped", timeout=5_000)
                return
        raise AssertionError(f"The page did not take {file.name}.")

    def _drag(self, file: Path) -> None:
        session = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            dragged = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
            place = {"x": NOTHING[0], "y": NOTHING[1]}
            session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": dragged})
        session.detach()

    def open_painting(self, file: Path) -> None:
        """Drops a workflow that has a painting and Save Image on the emptied graph, and waits until they are there."""
        self.do_js("app.graph.clear()")
        self.drop(file)
        self.wait(f"{PAINTER}?.widgets[0].value && app.graph.nodes.some((node) => node.type === 'SaveImage')")

    @property
    def value(self) -> str:
        return self.js(f"{PAINTER}.widgets[0].value")

    def wait_for_value(self, value: str) -> None:
        self.wait(f"{PAINTER}?.widgets[0].value === {json.dumps(value)}")

    @property
    def ids(self) -> Tensor:
        ids = read_painting(self.value)
        assert ids is not None
        return ids

    @property
    def paint_button(self) -> Locator:
        return self.page.get_by_role("button", name="Paint: open the editor").first

    @property
    def editor(self) -> Editor:
        return Editor(self.page)

    def edit(self) -> Editor:
        """Opens the editor with the button of the node."""
        self.paint_button.click()
        self.editor.canvas.wait_for()
        return self.editor

    def prompt(self) -> dict[str, Any]:
        return json.loads(self.js("app.graphToPrompt().then(({ output }) => JSON.stringify(output))"))

    def queue(self) -> dict[str, Any]:
        """Runs the graph as the page's button does. Returns the outputs by node id."""
        before = set(self.server.get("/history"))
        self.js("app.queuePrompt(0)")
        wait_until(lambda: len(set(self.server.get("/history")) - before) > 0)
        (queued,) = set(self.server.get("/history")) - before
        return self.server.wait_for(queued)


@contextmanager
def running() -> Iterator[Browser]:
    """A Chromium. There is one per process, because playwright allows only one loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(OPTIONS))
        yield browser
        browser.close()


def visit(browser: Browser, server: Server, vue: bool, language: str = "en", density: float = 1) -> ComfyPage:
    """Opens ComfyUI in a new profile, in the newer or the classic renderer, with a painter in the graph."""
    wishes = {
        **{"TutorialCompleted": True, "VueNodes.Enabled": vue, "Locale": language},
        "OnboardingCoachmarks.Seen": ["appMode", "firstRun"],  # 0.33 shows these tours once, over the page
    }
    for name, wish in wishes.items():
        server.post(f"/settings/Comfy.{name}", wish)
    comfy = ComfyPage(browser.new_page(viewport={"width": 1400, "height": 900}, device_scale_factor=density), server)
    comfy.open()
    comfy.lay_out()
    return comfy


def wait_until(is_so: Callable[[], bool], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.1)
