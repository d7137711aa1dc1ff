"""Region Control in real sampling: the strength of each region in its time window, as a factor on the gate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.masked import POSITIVE, run
from torch import Tensor


@pytest.fixture
def factors(comfy, monkeypatch) -> list[Tensor | None]:
    """The factors that the blend of each step receives."""
    network, seen = comfy.module("mogle_core.model.mixture.network"), []
    original = network.MoGLE.blend

    def noted(self: Any, outputs: Tensor, weights: Tensor | None, strengths: Tensor | None = None) -> Tensor:
        seen.append(strengths)
        return original(self, outputs, weights, strengths)

    monkeypatch.setattr(network.MoGLE, "blend", noted)
    return seen


def chain(comfy, *regions: dict[str, Any]) -> tuple:
    chained: tuple = ()
    for region in regions:
        (chained,) = comfy.node("MoGLERegions")(regions=chained, **region)
    return chained


def test_each_region_in_its_time_window(base, gated, latents, comfy, factors) -> None:
    names = comfy.module("mogle_core.model.mixture.regions").REGION_NAMES
    regions = chain(
        comfy,
        {"region": "hair", "strength": 0.5, "end_percent": 0.4},
        {"region": "full mask", "strength": 2.0, "start_percent": 0.3},
        {"region": "skin"},
    )
    model, positive, _, gates = gated(base, POSITIVE, latents(1), regions=regions)
    run(model, positive, steps=8)
    sampling = model.get_model_object("model_sampling")
    for given, step in zip(factors, gates.steps, strict=True):
        sigma, expected = float(step.sigma[0]), torch.ones(len(names))
        if sigma >= sampling.percent_to_sigma(0.4):
            expected[names.index("hair")] = 0.5
        if sigma <= sampling.percent_to_sigma(0.3):
            expected[names.index("full mask")] = 2.0
        assert torch.equal(given, expected)
    assert len({tuple(given.tolist()) for given in factors}) == 3  # hair, both, full mask


def test_outside_every_window_no_byte_changes(base, gated, latents, comfy, factors) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    plain = run(model, positive)
    regions = chain(comfy, {"region": "hair", "strength": 0.0, "start_percent": 0.999})
    same, _, _, _ = gated(base, POSITIVE, latents(1), regions=regions)
    assert torch.equal(run(same, positive), plain)
    assert factors == [None] * len(factors)


def test_a_window_that_ends_changes_nothing_before_it_begins(base, gated, latents, comfy) -> None:
    """The gate sees the noisy image, so its weights equal the plain run's up to the first different step."""
    model, positive, _, plain = gated(base, POSITIVE, latents(1))
    run(model, positive, steps=8)
    regions = chain(comfy, {"region": "full mask", "strength": 0.0, "start_percent": 0.4})
    late, positive, _, gates = gated(base, POSITIVE, latents(1), regions=regions)
    run(late, positive, steps=8)
    same = [torch.equal(a.weights, b.weights) for a, b in zip(plain.steps, gates.steps, strict=True)]
    begins = model.get_model_object("model_sampling").percent_to_sigma(0.4)
    acted = sum(float(step.sigma[0]) > begins for step in plain.steps)
    assert same == [True] * (acted + 1) + [False] * (7 - acted)
