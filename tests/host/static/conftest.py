"""Fixtures for static checkpoints: random weights, the store for their keys, and a way to bypass that store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.host_scene import LORA, Scene
from support.small_weights import TINY

NAME = "static.safetensors"


@pytest.fixture(scope="module")
def file(scene: Scene) -> Path:
    """A combined file with a static network of random weights and the golden LoRA."""
    network, files = (
        scene.comfy.module(f"mogle_core.model.{name}") for name in ("mixture.network", "checkpoints.files")
    )
    recipe = scene.comfy.module("mogle_core.model.checkpoints.recipe").Recipe
    options = scene.comfy.module("mogle_core.model.stream.attention").StreamOptions(independent_condition=True)
    path = scene.models / "mogle" / NAME
    with torch.random.fork_rng():
        torch.manual_seed(3)
        gate = network.MoGLE(network.MoGLEConfig(gate="static"))
        pooled = torch.randn(TINY.pooled)
    lora = files.read_lora(scene.models / "loras" / LORA).lora
    files.save(path, gate, lora, recipe("training", options=options, pooled=pooled, stream="static"))
    return path


@pytest.fixture
def static(scene: Scene, file: Path) -> Callable[..., Any]:
    """Runs Gated Condition with the static checkpoint: static(model, positive, masks, **inputs) returns its outputs."""

    def conditioned(model: Any, positive: list, masks: Any, **inputs: Any) -> Any:
        (mogle,) = scene.comfy.node("MoGLELoader")(mogle_name=file.name)
        return scene.comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=masks, **{"strength": 1.0, **inputs}
        )

    return conditioned


@pytest.fixture(autouse=True)
def empty_store(comfy) -> Iterator[Any]:
    """The store for keys on the CPU. It is cleared before and after each test."""
    store = comfy.module("nodes.host.key_memory").static_store(torch.device("cpu"))
    store.close()
    store.reuse.made = 0
    yield store.reuse
    store.close()


@pytest.fixture
def seen(base) -> list[int]:
    """The number of tokens in each call of `img_in`."""
    counts: list[int] = []
    base.model.diffusion_model.img_in.register_forward_hook(lambda module, args, out: counts.append(out.shape[1]))
    return counts


@pytest.fixture
def every_step(comfy, monkeypatch) -> Callable[[bool], None]:
    """every_step(True) makes every step compute the mask stream, as if another extension changed attention."""
    passes = comfy.module("nodes.host.passes")
    original = passes.static_keys

    def switch(on: bool) -> None:
        monkeypatch.setattr(passes, "static_keys", (lambda *args: None) if on else original)

    return switch
