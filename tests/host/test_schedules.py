"""Keys that are kept over steps, beside ControlNets, reference latents, areas and region prompts.

Two steps at the same sigma see the same image, so the second one reuses keys that are those of its own step. Its
result must be that of the exact stream.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import tiny
from support.masked import HEIGHT, NEGATIVE, POSITIVE, TOKENS, WIDTH

SCHEDULES: dict[str, tuple[dict[str, Any], list[float], list[str]]] = {
    "once a run": ({"refresh_every": 0}, [1.0, 1.0, 0.0], ["whole", "reused"]),
    "early, then once": (
        {"refresh_schedule": "early, then once"},
        [1.0, 0.9, 0.7, 0.7, 0.0],
        ["whole", "whole", "whole", "reused"],
    ),
    "adaptive": ({"refresh_schedule": "adaptive"}, [1.0, 1.0, 0.0], ["whole", "reused"]),
    "once a run, in host memory": (
        {"refresh_every": 0, "key_storage": "host memory"},
        [1.0, 1.0, 0.0],
        ["whole", "reused"],
    ),
}


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def entry(of: list, **more: Any) -> list:
    return [of[0][0], {**of[0][1], **more}]


def conditionings() -> dict[str, list]:
    """Positives by what is in them."""
    reference = noise(4, 1, 16, 4, 4)
    return {
        "a ControlNet": [entry(POSITIVE, control=tiny.residuals(TOKENS))],
        "reference latents": [entry(POSITIVE, reference_latents=[reference])],
        "an area": [entry(POSITIVE), entry(NEGATIVE, area=(4, 6, 2, 4))],
        "all of them": [
            entry(POSITIVE, control=tiny.residuals(TOKENS), reference_latents=[reference]),
            entry(NEGATIVE, area=(4, 6, 2, 4)),
        ],
    }


@pytest.fixture
def kinds(comfy, monkeypatch) -> list[str]:
    """For each forward pass: `whole` or `reused`."""
    seen: list[str] = []
    sampling = comfy.module("nodes.host.sampling")
    original = sampling.tokens_of
    monkeypatch.setattr(
        sampling, "tokens_of", lambda s, step, kind, *more: seen.append(kind) or original(s, step, kind, *more)
    )
    return seen


@pytest.mark.parametrize("beside", list(conditionings()))
@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_kept_keys_are_those_of_their_step(schedule: str, beside: str, base, gated, latents, kinds) -> None:
    inputs, sigmas, expected_kinds = SCHEDULES[schedule]
    positive, start = conditionings()[beside], noise(3, 1, 16, HEIGHT // 8, WIDTH // 8)
    exact, masked, _, _ = gated(base, positive, latents(1))
    expected = tiny.trajectory(exact, start, sigmas, masked)
    kept, masked, _, _ = gated(base, positive, latents(1), **inputs)
    kinds.clear()
    result = tiny.trajectory(kept, start, sigmas, masked)
    torch.testing.assert_close(torch.stack(result), torch.stack(expected), atol=1e-5, rtol=0)
    passes = len(kinds) // len(expected_kinds)
    assert kinds == [kind for kind in expected_kinds for _ in range(passes)]
    plain = tiny.trajectory(base, start, sigmas, positive)
    assert not torch.allclose(plain[-1], result[-1], atol=1e-3)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_batches_guidance_and_region_prompts(schedule: str, base, gated, latents, kinds, comfy) -> None:
    inputs, sigmas, _ = SCHEDULES[schedule]
    (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=tiny.conditioning(7, tokens=5))
    start = noise(3, 2, 16, HEIGHT // 8, WIDTH // 8)
    results = []
    for options in ({}, inputs):
        model, positive, negative, _ = gated(
            base, POSITIVE, latents(1, batch=2), negative=NEGATIVE, region_prompts=prompts, **options
        )
        kinds.clear()
        results.append(torch.stack(tiny.trajectory(model, start, sigmas, positive, negative, cfg=2.0)))
    torch.testing.assert_close(results[1], results[0], atol=1e-5, rtol=0)
    assert "reused" in kinds
