"""What must not change: where no mask acts, the result is plain FLUX to the byte."""

from __future__ import annotations

import pytest
import torch
from support.masked import POSITIVE, run


def test_strength_zero_is_plain_flux_to_the_byte(base, gated, latents) -> None:
    plain = run(base, POSITIVE)
    model, positive, _, _ = gated(base, POSITIVE, latents(1), strength=0.0)
    assert torch.equal(run(model, positive), plain)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    assert not torch.allclose(run(model, positive), plain, atol=1e-3)


def test_outside_the_time_window_is_plain_flux_to_the_byte(base, gated, latents) -> None:
    plain = run(base, POSITIVE)
    # Three steps of `simple` never come to the last thousandth.
    model, positive, _, _ = gated(base, POSITIVE, latents(1), start_percent=0.999, end_percent=1.0)
    assert torch.equal(run(model, positive), plain)


def test_time_window_holds_for_its_steps_only(base, gated, latents) -> None:
    record = gated(base, POSITIVE, latents(1), start_percent=0.3, end_percent=0.8)
    model, positive, _, gates = record
    halfway = run(model, positive, steps=10)
    sigmas = [float(step.sigma[0]) for step in gates.steps]
    sampling = model.get_model_object("model_sampling")
    assert 0 < len(sigmas) < 10
    assert all(sampling.percent_to_sigma(0.8) <= sigma <= sampling.percent_to_sigma(0.3) for sigma in sigmas)
    assert not torch.equal(halfway, run(base, POSITIVE, steps=10))


def test_adjacent_windows_make_the_full_run(base, gated, latents) -> None:
    """Steps inside a window equal those of the full run: the first half from the same noise."""
    whole, positive, _, gates = gated(base, POSITIVE, latents(1))
    run(whole, positive, steps=4)
    early, positive, _, early_gates = gated(base, POSITIVE, latents(1), end_percent=0.5)
    run(early, positive, steps=4)
    for ours, theirs in zip(early_gates.steps, gates.steps, strict=False):
        assert torch.equal(ours.weights, theirs.weights)
    assert len(early_gates.steps) < len(gates.steps) == 4


def test_unpatched_branch_is_plain_flux_to_the_byte(base, gated, latents) -> None:
    before = run(base, POSITIVE)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    run(model, positive)
    assert torch.equal(run(base, POSITIVE), before)
    # A conditioning that carries a mask into a model without Gated Condition is plain, too.
    assert torch.equal(run(base, positive), before)


def test_region_control_at_its_defaults_changes_no_byte(base, gated, latents, comfy) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    (regions,) = comfy.node("MoGLERegions")(region="hair")
    (regions,) = comfy.node("MoGLERegions")(region="full mask", regions=regions)
    same, _, _, _ = gated(base, POSITIVE, latents(1), regions=regions)
    assert torch.equal(run(model, positive), run(same, positive))
    (regions,) = comfy.node("MoGLERegions")(region="hair", strength=0.0, regions=regions)
    other, _, _, _ = gated(base, POSITIVE, latents(1), regions=regions)
    assert not torch.equal(run(model, positive), run(other, positive))


@pytest.mark.parametrize(
    ("window", "steps"),
    [({"start_percent": 0.5}, 4), ({"end_percent": 0.5}, 4), ({"start_percent": 0.25, "end_percent": 0.75}, 8)],
)
def test_a_window_begins_and_ends_at_the_steps_of_cores_own(base, gated, latents, window, steps) -> None:
    """A step that lies on the border belongs to both, as with ConditioningSetTimestepRange."""
    import comfy.samplers

    model, positive, _, gates = gated(base, POSITIVE, latents(1), **window)
    run(model, positive, steps=steps)
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "simple", steps)[:-1]
    first, last = (
        sampling.percent_to_sigma(window.get(name, at)) for name, at in (("start_percent", 0.0), ("end_percent", 1.0))
    )
    core = [float(sigma) for sigma in sigmas if not (sigma > first or sigma < last)]
    assert [float(step.sigma[0]) for step in gates.steps] == core
    assert len(core) > steps // 4
