"""The host's interfaces as the nodes find them, and a host that is newer than they know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import comfy.ldm.flux.math as flux_math
import pytest
import torch
from support.masked import NEGATIVE, POSITIVE, run
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@pytest.fixture
def interfaces(comfy) -> Any:
    return comfy.module("nodes.host.interfaces")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_this_host_is_known(interfaces, caplog) -> None:
    assert interfaces.findings() == []
    interfaces.warn_of_unknown_interfaces()
    assert said(caplog) == []


def test_a_new_parameter_is_a_warning_with_our_version(interfaces, comfy, monkeypatch, caplog) -> None:
    def attention(q: Any, k: Any, v: Any, pe: Any, mask: Any = None, transformer_options: Any = None, tiles: int = 0):
        raise AssertionError("looked at only")

    monkeypatch.setattr(flux_math, "attention", attention)
    interfaces.warn_of_unknown_interfaces("9.9")
    (line,) = said(caplog)
    assert "comfy.ldm.flux.math.attention: unknown tiles" in line and "this ComfyUI 9.9" in line
    assert f"ComfyUI-MoGLE {comfy.module('mogle_core').__version__}" in line


def test_a_parameter_at_another_place_is_named(interfaces, monkeypatch, caplog) -> None:
    """Some arguments are found by their place."""

    def attention(q: Any, k: Any, v: Any, mask: Any = None, pe: Any = None, transformer_options: Any = None):
        raise AssertionError("looked at only")

    monkeypatch.setattr(flux_math, "attention", attention)
    interfaces.warn_of_unknown_interfaces()
    assert "comfy.ldm.flux.math.attention: moved mask" in said(caplog)[0]


def test_what_is_gone_or_cannot_be_looked_at_is_no_crash(interfaces, monkeypatch, caplog) -> None:
    monkeypatch.delattr(flux_math, "attention")
    interfaces.warn_of_unknown_interfaces()
    assert "missing comfy.ldm.flux.math.attention" in said(caplog)[0]
    monkeypatch.setattr(interfaces, "findings", lambda: 1 / 0)
    interfaces.warn_of_unknown_interfaces()
    assert "ZeroDivisionError" in said(caplog)[1]


def test_what_outlives_a_block_is_made_while_the_recording_pauses(base, gated, latents, comfy, monkeypatch) -> None:
    """0.38 on records each block's allocations: kept keys, and what a run computes once, are none of a block's."""
    versions, entered = comfy.module("nodes.host.versions"), []

    @contextmanager
    def pause() -> Iterator[None]:
        entered.append(True)
        yield

    model, positive, _, _ = gated(base, POSITIVE, latents(1), refresh_every=2, strength=0.7)
    expected = run(model, positive, steps=4)
    monkeypatch.setattr(versions, "PREFETCH", SimpleNamespace(pause_malloc_graph=pause))
    assert torch.equal(run(model, positive, steps=4), expected)
    # Of each of 4 passes the mask's own things, of each of 2 whole passes the keys of 5 blocks.
    assert len(entered) >= 4 + 2 * 5


def storages(*values: Any) -> dict[StorageWeakRef, tuple[int, ...]]:
    """The memory of all tensors in nested values, with a tensor's shape."""
    tensors = [one for one in tree_leaves(values) if isinstance(one, Tensor)]
    return {StorageWeakRef(one.untyped_storage()): tuple(one.shape) for one in tensors}


class Recorder(TorchDispatchMode):
    """As a host's recording of each block's memory: what a block makes may live on only as its result, or paused."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = self.pauses = self.blocks = 0
        self.made: dict[StorageWeakRef, tuple[int, ...]] | None = None
        self.left: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if self.made is not None and not self.paused:
            given = storages(args, kwargs)  # a view makes nothing
            self.made |= {storage: shape for storage, shape in storages(out).items() if storage not in given}
        return out

    @contextmanager
    def pause(self) -> Iterator[None]:
        self.paused, self.pauses = self.paused + 1, self.pauses + 1
        yield
        self.paused -= 1

    def around(self, args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        """A block of the host, and what is left of it."""
        self.made, self.blocks = {}, self.blocks + 1
        out = extra["original_block"](args)
        made, self.made = self.made, None
        result = storages(out)
        self.left += [shape for one, shape in made.items() if not one.expired() and one not in result]
        return out


@pytest.mark.parametrize(
    "inputs",
    [{}, {"strength": 0.7, "refresh_every": 2, "key_storage": "fp8"}, {"region_prompts": True, "refresh_every": 2}],
    ids=str,
)
def test_nothing_that_a_block_makes_lives_on_unless_the_recording_pauses(
    inputs: dict[str, Any], base, gated: Callable[..., Any], latents, comfy, monkeypatch
) -> None:
    if "region_prompts" in inputs:
        (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=NEGATIVE, strength=2.0)
        inputs = {**inputs, "region_prompts": prompts}
    recorder = Recorder()
    pausing = SimpleNamespace(pause_malloc_graph=recorder.pause)
    monkeypatch.setattr(comfy.module("nodes.host.versions"), "PREFETCH", pausing)
    model, positive, _, _ = gated(base, POSITIVE, latents(1), **inputs)
    for kind, count in (("double_block", 2), ("single_block", 3)):
        for number in range(count):
            model.set_model_patch_replace(recorder.around, "dit", kind, number)
    with recorder:
        run(model, positive, steps=4)
    assert recorder.blocks == 4 * 5 and recorder.pauses > 0
    assert recorder.left == []
