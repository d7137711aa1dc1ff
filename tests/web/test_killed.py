"""If a tab or browser is killed in the middle of a stroke, at most that stroke is lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Error
from support.browser import OPTIONS, PAINTER, ComfyPage, chromium, wait_until
from support.comfy_server import Server
from support.editing import Editor

from mogle_core.masks.painting import read_painting

DRAFTS = """new Promise((resolve, reject) => {
    const request = indexedDB.open('mogle.painter');
    request.onerror = reject;
    request.onsuccess = () => {
        const all = request.result.transaction('drafts').objectStore('drafts').getAll();
        all.onsuccess = () => [request.result.close(), resolve(all.result.map(({ text }) => text))];
    };
})"""
TILE = "button.face[aria-label^='of a tab that ended']"


@pytest.fixture(scope="module")
def server(visit: Callable) -> Server:
    comfy = visit(False)
    comfy.leave()
    return comfy.server


@contextmanager
def profile(browser: Browser, folder: Path) -> Iterator[BrowserContext]:
    """A browser of its own, with a profile that the next one finds. It may be killed."""
    context = browser.browser_type.launch_persistent_context(
        folder, executable_path=chromium(), args=list(OPTIONS), viewport={"width": 1400, "height": 900}
    )
    try:
        yield context
    finally:
        with suppress(Error):
            context.close()


def opened(context: BrowserContext, server: Server) -> ComfyPage:
    comfy = ComfyPage(context.new_page(), server)
    comfy.open()
    return comfy


def paint(comfy: ComfyPage, *rows: int) -> Editor:
    """A stroke in each of the rows, in the open editor."""
    editor = comfy.editor
    for row in rows:
        editor.drag((5, row), (50, row))
    return editor


def begin_stroke(editor: Editor) -> None:
    editor.page.mouse.move(*editor.at(5, 60))
    editor.page.mouse.down()
    editor.page.mouse.move(*editor.at(40, 60))


def start(context: BrowserContext, server: Server) -> ComfyPage:
    """A painter with two strokes of which ComfyUI knows, and its open editor."""
    comfy = opened(context, server)
    comfy.lay_out()
    editor = comfy.edit()
    editor.keys("Escape")
    editor.empty(64, 6)
    paint(comfy, 10, 20)
    return comfy


def wait_for_draft(comfy: ComfyPage, ids: torch.Tensor) -> None:
    def is_stored() -> bool:
        (text,) = comfy.js(DRAFTS) or [""]
        stored = read_painting(text)
        return stored is not None and torch.equal(stored, ids)

    wait_until(is_stored)


def kill(folder: Path) -> None:
    """Ends the browser of this profile, as a crash does."""
    lines = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    (number,) = [
        int(line.split()[0]) for line in lines if f"--user-data-dir={folder}" in line and "--type=" not in line
    ]
    os.kill(number, signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="needs ps and SIGKILL")
def test_a_killed_tab_and_a_killed_browser_lose_at_most_the_stroke(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    with profile(browser, tmp_path) as context:
        comfy = start(context, server)
        comfy.page.wait_for_timeout(1500)  # ComfyUI writes its draft a little later; it has this state
        editor = paint(comfy, 30, 40)
        painted = editor.ids
        wait_for_draft(comfy, painted)
        begin_stroke(editor)
        with suppress(Error):
            comfy.page.goto("chrome://crash")

        comfy = opened(context, server)
        wait_until(lambda: comfy.value != "" and torch.equal(comfy.ids, painted))
        editor = comfy.edit()
        assert torch.equal(editor.ids, painted)
        editor.zoom(6)
        painted = paint(comfy, 50).ids
        wait_for_draft(comfy, painted)
        begin_stroke(editor)
        kill(tmp_path)

    with profile(browser, tmp_path) as context:
        # As if the browser had lost ComfyUI's draft of the workflow, which it does for some seconds: any other painter
        # offers the painting.
        context.add_init_script("localStorage.clear()")
        comfy = opened(context, server)
        assert not comfy.js(f"Boolean({PAINTER})")
        comfy.lay_out()
        editor = comfy.edit()
        editor.frame.locator(TILE).click()
        editor.frame.locator("dialog").wait_for(state="detached")
        editor.done()
        assert torch.equal(comfy.ids, painted)
        comfy.leave()
