"""Strengths of single regions become factors on the gate."""

from __future__ import annotations

import pytest
import torch

from mogle_core.masks.labels import CLASS_NAMES, NUM_MASKS
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.mixture.regions import FULL_MASK, REGION_NAMES, Region, check_window, strengths


def test_names_are_in_the_order_of_the_masks() -> None:
    assert list(REGION_NAMES) == [FULL_MASK, *CLASS_NAMES]
    assert len(set(REGION_NAMES)) == NUM_MASKS


def test_each_region_is_one_factor() -> None:
    for place, name in enumerate(REGION_NAMES):
        expected = torch.ones(NUM_MASKS)
        expected[place] = 0.25
        assert torch.equal(strengths((Region(name, 0.25),), (True,)), expected)


def test_regions_multiply() -> None:
    chain = (Region("hair", 0.5), Region("skin", 2.0), Region("hair", 0.5), Region("hat", 0.0))
    found = strengths(chain, (True,) * 4)
    assert {name: f for name, f in zip(REGION_NAMES, found.tolist(), strict=True) if f != 1} == {
        "hair": 0.25,
        "skin": 2.0,
        "hat": 0.0,
    }


def test_only_active_regions_count() -> None:
    chain = (Region("hair", 0.5, end_percent=0.4), Region("skin", 2.0))
    assert strengths(chain, (False, True))[REGION_NAMES.index("hair")] == 1
    assert strengths(chain, (False, True))[REGION_NAMES.index("skin")] == 2
    assert strengths(chain, (False, False)) is None


def test_nothing_to_do_is_none() -> None:
    assert strengths((), ()) is None
    assert strengths((Region("hair"), Region(FULL_MASK)), (True, True)) is None
    assert strengths((Region("hair", 2.0), Region("hair", 0.5)), (True, True)) is None


def test_activity_is_required_for_every_region() -> None:
    with pytest.raises(ValueError, match="zip"):
        strengths((Region("hair", 0.5),), ())


def test_a_region_at_zero_leaves_the_blend() -> None:
    torch.manual_seed(0)
    mogle, latents = MoGLE(), torch.randn(1, NUM_MASKS, 4, 64)
    noisy, outputs = torch.randn(1, 4, 64), mogle.expert_outputs(latents)
    factors = strengths((Region("hair", 0.0),), (True,))
    without = mogle.blend(outputs, mogle.gate_weights(latents[:, 0], noisy, torch.ones(1)), factors)
    # The same by the gate itself: a softmax in which that expert has no chance.
    with torch.no_grad():
        mogle.gating.gate[2].bias[REGION_NAMES.index("hair")] = -1e9
    weights = mogle.gate_weights(latents[:, 0], noisy, torch.ones(1))
    torch.testing.assert_close(without, mogle.blend(outputs, weights))


@pytest.mark.parametrize("window", [(0.6, 0.4), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)])
def test_an_impossible_window_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=f"time window of Gated Condition runs from {window[0]} to {window[1]}"):
        check_window(*window, "Gated Condition")
    with pytest.raises(ValueError, match="time window of region 'hair'"):
        Region("hair", 1.0, *window)


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ValueError, match="no region 'beard'; the regions are full mask, background"):
        Region("beard")
    for strength in (-0.1, 2.1, float("nan")):
        with pytest.raises(ValueError, match=f"strength of region 'hair' is {strength}"):
            Region("hair", strength)
