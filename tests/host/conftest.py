"""Tests that need a ComfyUI. It starts when the first of these files is collected, so that they can import
`comfy` at the top. Without a ComfyUI every file is skipped with what it needs, and the end of the run
repeats it.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import hosts
from support.comfy_server import Server
from support.host_scene import Scene
from support.in_process import TEST_PACK, Comfy, boot
from support.without import TESTED_LATER, skipped, why_no_host

HERE = Path(__file__).resolve().parent


@functools.cache
def running() -> Comfy:
    return boot(hosts.choose())


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if why := why_no_host():
        return skipped(module_path, parent, why)
    running()
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.USAGE_ERROR:
        return
    if not why_no_host():
        terminalreporter.write_sep("=", f"tested in {hosts.choose().name}, {hosts.choose().path}")
    elif os.environ.get(TESTED_LATER):
        terminalreporter.write_sep("=", "host tests: not in this interpreter, they follow")
    else:
        terminalreporter.write_sep("=", "HOST TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.write_line(f"{why_no_host()}\nNothing in {HERE} was tested.", red=True)


@pytest.fixture(scope="session")
def comfy() -> Comfy:
    """The ComfyUI in this process: `.version`, `.pack`, `.module(name)`, `.node(id)`."""
    return running()


@pytest.fixture(scope="session")
def scene(comfy: Comfy) -> Scene:
    return Scene(comfy)


@pytest.fixture(scope="session")
def models_folder(scene: Scene) -> Path:
    """The host's models folder, with the golden network and LoRA where the nodes look for them."""
    return scene.models


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A ComfyUI server with the pack under test and the pack of the tests."""
    packs = {"ComfyUI-MoGLE": hosts.REPOSITORY, TEST_PACK.name: TEST_PACK}
    with Server(hosts.choose(), packs) as started:
        yield started


@pytest.fixture(scope="session")
def vae(scene: Scene) -> Any:
    return scene.vae


@pytest.fixture
def latents(scene: Scene) -> Callable[..., Any]:
    """latents(seed, batch, width, height) encodes a random mask with MoGLE Encode."""
    return scene.latents


@pytest.fixture
def gated(scene: Scene) -> Callable[..., tuple]:
    """gated(model, positive, latents, **inputs) runs Gated Condition with the golden LoRA and network."""
    return scene.gated


@pytest.fixture
def base() -> Any:
    from support import tiny

    return tiny.golden_flux()


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """compiling(model) compiles it with core's wrapper, which checks arguments but no transformer_options.

    On a CPU the host's attention asks the system for its free memory, which breaks every graph. Here it gets a
    fixed answer.
    """
    import torch

    memory = importlib.import_module("comfy.model_management")
    wrap = pytest.importorskip("comfy_api.torch_helpers").set_torch_compile_wrapper
    monkeypatch.setattr(memory, "get_free_memory", lambda device=None, both=False: (8e9, 8e9) if both else 8e9)
    torch._dynamo.reset()
    options = {"guard_filter_fn": lambda guards: ["transformer_options" not in guard.name for guard in guards]}
    return lambda model: wrap(model=model, backend="eager", options=options)
