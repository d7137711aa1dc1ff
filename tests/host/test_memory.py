"""The memory that is reported to ComfyUI, and a model that has less than it needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import tiny
from support.host_memory import asked_shapes
from support.masked import HEIGHT, POSITIVE, WIDTH, run
from support.small_weights import TINY, lora_weights


def test_memory_estimate_counts_the_mask(base, gated, latents, monkeypatch) -> None:
    asked = asked_shapes(monkeypatch)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    run(model, positive)
    run(base, POSITIVE)
    assert asked == [[1, 16, HEIGHT // 8, 2 * (WIDTH // 8)], [1, 16, HEIGHT // 8, WIDTH // 8]]


@pytest.mark.parametrize("share", [0.0, 0.4], ids=["novram", "lowvram"])
def test_a_model_bigger_than_its_memory(share: float, gated, latents, monkeypatch) -> None:
    """ComfyUI's loader keeps only a share of the weights. The others are streamed at each use."""
    import comfy.model_management

    style = lora_weights(TINY, seed=3, rank=2)
    masks = latents(1)
    model, positive, _, _ = gated(tiny.with_lora(tiny.golden_flux(), style, 0.8), POSITIVE, masks)
    expected = run(model, positive)

    load = comfy.model_management.LoadedModel.model_load

    def starved(loaded: Any, budget: float = 0, *args: Any, **kwargs: Any) -> Any:
        return load(loaded, max(0.1, share * loaded.model.model_size()), *args, **kwargs)

    monkeypatch.setattr(comfy.model_management.LoadedModel, "model_load", starved)
    model, positive, _, _ = gated(tiny.with_lora(tiny.golden_flux(), style, 0.8), POSITIVE, masks)
    result = run(model, positive)
    blocks = model.model.diffusion_model.double_blocks
    streamed = [module for module in blocks.modules() if getattr(module, "comfy_cast_weights", False)]
    assert streamed, "nothing was streamed: the budget did not bite"
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_modules_that_the_loader_left_on_the_host_are_moved(comfy) -> None:
    """On a full card ComfyUI leaves our modules in host memory. Here `meta` stands for the card."""
    resident = comfy.module("nodes.host.passes").resident
    network = comfy.module("mogle_core.model.mixture.network").MoGLE().requires_grad_(False)
    assert resident(network, torch.device("cpu")) is network
    copy = resident(network, torch.device("meta"))
    assert {parameter.device.type for parameter in copy.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert copy.config == network.config
