"""The host's interfaces as the nodes find them, and a host that is newer than they know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import comfy.ldm.flux.math as flux_math
import pytest
import torch
from support.masked import POSITIVE, run


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
    monkeypatch.setattr(versions, "_PREFETCH", SimpleNamespace(pause_malloc_graph=pause))
    assert torch.equal(run(model, positive, steps=4), expected)
    # Of each of 4 passes the mask's own things, of each of 2 whole passes the keys of 5 blocks.
    assert len(entered) >= 4 + 2 * 5
