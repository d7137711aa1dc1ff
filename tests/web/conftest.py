"""Browser tests need a ComfyUI, playwright and a Chromium. Without them they are skipped, and the end of the run
says so. Tests that need only Node.js run everywhere.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import hosts
from support.without import TESTED_LATER, skipped, why_no_host

HERE = Path(__file__).resolve().parent


@functools.cache
def why_not() -> str:
    """Empty if the browser tests can run here, otherwise what is needed."""
    if why := why_no_host():
        return why
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed here: pip install playwright."
    from support.browser import VARIABLE, chromium

    return "" if chromium() else f"There is no Chromium: install one, or name it by {VARIABLE}."


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    needs_browser = module_path.stem != "test_units"
    return skipped(module_path, parent, why_not()) if needs_browser and why_not() else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus != pytest.ExitCode.USAGE_ERROR and why_not() and not os.environ.get(TESTED_LATER):
        terminalreporter.write_sep("=", "BROWSER TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.write_line(f"{why_not()}\nOf {HERE} only test_units.py was run.", red=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    from support.browser import running

    with running() as browser:
        yield browser


@pytest.fixture(scope="session")
def server_options() -> list[str]:
    """FRONT_END_ROOT selects another frontend than the host's."""
    return ["--cpu", *(["--front-end-root", root] if (root := os.environ.get("FRONT_END_ROOT")) else [])]


@pytest.fixture(scope="session")
def visit(browser: object, server_options: list[str]) -> Iterator[Callable]:
    """visit(vue, language="en") opens a ComfyPage; all pages share one server."""
    from support.browser import visit
    from support.comfy_server import Server

    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}, server_options, 400) as server:
        yield functools.partial(visit, browser, server)


@pytest.fixture(scope="module")
def stocked(server_options: list[str]) -> Iterator[object]:
    """A separate server after `mogle toy install`. The tests' pack lets old hosts load the toy as well."""
    from support.comfy_server import Server
    from support.in_process import TEST_PACK

    from mogle_core.toy.install import install

    packs = {"ComfyUI-MoGLE": hosts.REPOSITORY, TEST_PACK.name: TEST_PACK}
    with Server(hosts.choose(), packs, server_options, 400) as server:
        install(server.base)
        yield server


# The renderer is a setting of the whole server, so a file's pages live one after the other.


@pytest.fixture(scope="module", params=["classic", "vue"])
def vue(request: pytest.FixtureRequest) -> bool:
    """Whether the newer renderer shows the page. A test runs in each renderer that shows DOM widgets."""
    if request.param == "vue" and hosts.choose().version < (0, 8):
        pytest.skip("the frontend of this ComfyUI shows no DOM widgets in its newer renderer, painter or other")
    return request.param == "vue"


@pytest.fixture(scope="module")
def opened(vue: bool, visit: Callable) -> Iterator[object]:
    """ComfyUI's page with a painter. At the end there must be no complaints."""
    comfy = visit(vue)
    yield comfy
    comfy.leave()


@pytest.fixture
def comfy(opened) -> Iterator[object]:
    """That page. An editor that a failing test left open does not affect the next tests."""
    yield opened
    opened.editor.leave()


@pytest.fixture(scope="module")
def page(visit: Callable) -> Iterator[object]:
    """ComfyUI's page, classic, with the editor open. The editor has its own frame and is the same in each renderer."""
    comfy = visit(False)
    comfy.edit().button("Empty").click()
    yield comfy
    comfy.editor.done()
    comfy.leave()


@pytest.fixture
def editor(page) -> object:
    """The open editor with an empty canvas, every setting at its default."""
    page.editor.empty()
    return page.editor
