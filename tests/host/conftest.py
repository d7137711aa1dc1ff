"""Tests that need a ComfyUI. It starts when the first of these files is collected, so that they can import
`comfy` at the top. Without a ComfyUI every file is skipped with what it needs, and the end of the run
repeats it.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import hosts
from support.comfy_server import Server
from support.in_process import TEST_PACK, Comfy, boot
from support.without import TESTED_LATER, skipped, why_no_host

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "data/golden"


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
def models_folder(comfy: Comfy) -> Path:
    """The host's models folder, with the golden network and LoRA where the nodes look for them."""
    models = comfy.base / "models"
    for folder, name in (("mogle", "global_local_mask_moe.pt"), ("loras", "pytorch_lora_weights.safetensors")):
        (models / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(GOLDEN / name, models / folder)
    return models


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A ComfyUI server with the pack under test and the pack of the tests."""
    packs = {"ComfyUI-MoGLE": hosts.REPOSITORY, TEST_PACK.name: TEST_PACK}
    with Server(hosts.choose(), packs) as started:
        yield started


@pytest.fixture(scope="session")
def vae(comfy: Comfy) -> Any:
    from support import tiny

    return tiny.tiny_vae()


@pytest.fixture
def latents(comfy, vae):
    """(seed, batch, width, height) -> MOGLE_LATENTS through MoGLE Encode."""
    from support.masked import HEIGHT, WIDTH, mask_ids

    def encode(seed: int, batch: int = 1, width: int = WIDTH, height: int = HEIGHT) -> Any:
        masks = comfy.module("mogle_core.masks.decouple").Decoupled(mask_ids(seed, width, height, batch))
        return comfy.node("MoGLEEncode")(masks=masks, vae=vae, width=0, height=0)[0]

    return encode


@pytest.fixture
def gated(comfy, models_folder):
    """(model, positive, latents, **inputs) -> model, positive, negative, gates, with LoRA and golden network."""

    def patch(model: Any, positive: list, masks: Any, lora: float | None = 1.0, **inputs: Any) -> tuple:
        (mogle,) = comfy.node("MoGLELoader")(mogle_name="global_local_mask_moe.pt")
        if lora is not None:
            (model,) = comfy.node("MoGLELoRAApply")(
                model=model, lora_name="pytorch_lora_weights.safetensors", strength=lora
            )
        return comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=masks, **inputs
        )

    return patch


@pytest.fixture
def base() -> Any:
    from support import tiny

    return tiny.golden_flux()


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """(model): runs it compiled with core's wrapper, which checks arguments but no transformer_options.

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
