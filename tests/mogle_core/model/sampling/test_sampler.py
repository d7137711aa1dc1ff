"""What a sampling run computes only once, tested on a FLUX with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.small_models import Small, small
from support.waits import waits_in
from torch import Tensor

from mogle_core.masks.decode import decode_tensor
from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture.regions import Region
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.model.sampling.sampler import noise_of, sample
from mogle_core.model.stream.refresh import Refresh

SIDE = 4
GUIDANCE = 3.0


@pytest.fixture(scope="module")
def models() -> Small:
    return small()


@pytest.fixture
def run(models: Small) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    params = models.flux.params
    masks, text, empty = (
        random(2, 20, SIDE * SIDE, 64),
        *((random(2, 3, params.context_in_dim), random(2, params.vec_in_dim)) for _ in range(2)),
    )

    def run(steps: int = 3, **options: Any) -> Tensor:
        noise = noise_of([3, 4], 16 * SIDE, 16 * SIDE)
        return sample(models, masks, text, noise, SamplingOptions(steps, GUIDANCE, **options), empty=empty)

    return run


@pytest.mark.parametrize("options", [{}, {"cfg": 2.0}, {"mask_guidance": 1.0}], ids=["plain", "cfg", "own guidance"])
def test_modulations_are_computed_once_per_run_and_conditioning(
    options: dict[str, float], run: Callable[..., Tensor], models: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them, a pass computes its own; the image is the same to the bit."""
    made, original = [], Flux.modulate_mask
    monkeypatch.setattr(Flux, "modulate_mask", lambda *given: made.append(given[1]) or original(*given))
    once = run(**options)
    assert len(made) == (2 if "cfg" in options else 1)

    forward = Flux.forward

    def forgetful(model: Flux, *given: Any) -> Tensor:
        *others, mask = given
        return forward(model, *others, replace(mask, guidance=options.get("mask_guidance"), modulations=None))

    monkeypatch.setattr(Flux, "forward", forgetful)
    assert torch.equal(run(**options), once)
    assert len(made) > 3


REGIONS = (Region("hair", strength=0.5, end_percent=0.5),)


@pytest.mark.parametrize(
    "options", [{}, {"cfg": 2.0}, {"refresh": Refresh(2)}, {"regions": REGIONS}], ids=lambda chosen: " ".join(chosen)
)
def test_no_step_waits_for_the_device(options: dict[str, Any], run: Callable[..., Tensor]) -> None:
    assert waits_in(lambda: run(steps=4, **options)) == waits_in(lambda: run(steps=2, **options))


def test_reading_a_value_is_detected() -> None:
    """Decoding a mask reads values. It may, because it happens only once."""
    assert any("decode.py" in line for line in waits_in(lambda: decode_tensor(torch.zeros(1, 4, 4, 3))))


def test_the_masks_own_guidance_counts(run: Callable[..., Tensor]) -> None:
    assert torch.equal(run(mask_guidance=GUIDANCE), run())
    assert not torch.equal(run(mask_guidance=1.0), run())
