"""The gate's frames equal the record; regions are chosen by name; the largest weight wins."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.mixture.gate_maps import COLOURS, SHOWN, TITLES, GateFrames, chosen, read_gates, spread, winners
from mogle_core.model.mixture.gate_record import GateRecord, GateStep
from mogle_core.model.mixture.regions import REGION_NAMES

ROWS, COLUMNS = 2, 3


def weights(seed: int, batch: int = 1, tokens: int = ROWS * COLUMNS, experts: int = NUM_MASKS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, tokens, experts, generator=generator).softmax(-1)


def step(sigma: float, seed: int, conditionings: tuple[int, ...] = (0,), batch: int = 1) -> GateStep:
    rows = batch * len(conditionings)
    return GateStep(torch.full((rows,), sigma), weights(seed, rows), (ROWS, COLUMNS), conditionings)


def recorded(*steps: GateStep, masks: slice = slice(0, NUM_MASKS)) -> GateRecord:
    record = GateRecord(masks=masks)
    for one in steps:
        record.add(one)
    return record


def test_frames_are_the_recorded_weights_token_by_token() -> None:
    frames = read_gates(recorded(step(1.0, 0), step(0.5, 1)))
    assert frames.sigmas.tolist() == [1.0, 0.5] and len(frames) == 2
    assert frames.weights.shape == (2, ROWS, COLUMNS, NUM_MASKS)
    assert torch.equal(frames.weights[1, 1, 2], weights(1)[0, COLUMNS + 2])
    torch.testing.assert_close(frames.weights.sum(-1), torch.ones(2, ROWS, COLUMNS))


@pytest.mark.parametrize("conditionings", [(1, 0), (0, 1), (0,)])
def test_the_positives_rows_are_taken_whatever_their_order(conditionings: tuple[int, ...]) -> None:
    one = step(1.0, 3, conditionings, batch=4)
    for picture in range(4):
        expected = one.weights[conditionings.index(0) * 4 + picture].view(ROWS, COLUMNS, NUM_MASKS)
        assert torch.equal(read_gates(recorded(one), picture).weights[0], expected)


def test_passes_of_the_negative_and_repeated_passes_are_left_out() -> None:
    wide = GateStep(torch.tensor([0.4]), weights(9, tokens=8), (2, 4), (0,))
    frames = read_gates(recorded(step(1.0, 0), step(1.0, 1), step(1.0, 2, (1,)), step(0.5, 3), wide))
    assert frames.sigmas.tolist() == [1.0, 0.5]
    assert torch.equal(frames.weights[0].flatten(0, 1), weights(0)[0])


def test_a_scalar_gate_is_the_same_at_each_token() -> None:
    one = weights(0, tokens=1)
    frames = read_gates(recorded(GateStep(torch.ones(1), one, (ROWS, COLUMNS))))
    assert torch.equal(frames.weights[0], one[0, 0].expand(ROWS, COLUMNS, -1))


def test_what_cannot_be_shown_is_an_error_message() -> None:
    with pytest.raises(ValueError, match="The gate recorded nothing. Connect samples"):
        read_gates(GateRecord())
    with pytest.raises(ValueError, match="batch_index is 2, and the run made 2: choose 0 to 1"):
        read_gates(recorded(step(1.0, 0, batch=2)), 2)
    small = GateRecord(budget=16)
    small.add(step(1.0, 0))
    with pytest.raises(ValueError, match="A single step of this gate takes more"):
        read_gates(small)


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [(20, 1, [10]), (20, 2, [0, 19]), (20, 4, [0, 6, 13, 19]), (3, 8, [0, 1, 2]), (1, 1, [0]), (5, 5, [0, 1, 2, 3, 4])],
)
def test_steps_are_spread_evenly_with_both_ends(count: int, wanted: int, expected: list[int]) -> None:
    assert spread(count, wanted) == expected


def test_regions_by_their_names_in_any_writing() -> None:
    frames = read_gates(recorded(step(1.0, 0)))
    assert chosen(frames, "hair, full mask,eye_g") == (14, 0, 4)
    assert chosen(frames, "Glasses, glasses, eye_g") == (4,)
    assert chosen(frames, "all") == tuple(range(NUM_MASKS))
    assert TITLES[0] == REGION_NAMES[0] and len(set(COLOURS)) == NUM_MASKS


def test_the_strongest_have_the_largest_mean_weights() -> None:
    frames = read_gates(recorded(step(1.0, 0), step(0.5, 1)))
    picked = set(chosen(frames, "strongest"))
    means = frames.weights.mean((0, 1, 2))
    assert len(picked) == SHOWN
    assert min(means[i] for i in picked) >= max(means[i] for i in range(NUM_MASKS) if i not in picked)
    assert chosen(frames, "  ") == chosen(frames, "strongest")


def test_an_unknown_region_and_one_without_an_expert() -> None:
    local = recorded(GateStep(torch.ones(1), weights(0, experts=19), (ROWS, COLUMNS)), masks=slice(1, NUM_MASKS))
    frames = read_gates(local)
    assert chosen(frames, "hair") == (13,) and frames.masks[13] == 14
    with pytest.raises(ValueError, match="trained without an expert for full mask"):
        chosen(frames, "full mask")
    with pytest.raises(ValueError, match="there is no region 'beard'.* hair"):
        chosen(frames, "hair, beard")


def test_the_winner_has_the_largest_weight_of_those_asked() -> None:
    frames = read_gates(recorded(step(1.0, 0), step(0.5, 1)))
    assert torch.equal(winners(frames, range(NUM_MASKS)), frames.weights.argmax(-1))
    certain = torch.zeros(1, ROWS, COLUMNS, NUM_MASKS)
    certain[..., 0], certain[0, 0, :, 14], certain[0, 1, :, 2] = 0.6, 0.3, 0.3
    frames = GateFrames(torch.ones(1), certain, tuple(range(NUM_MASKS)))
    assert winners(frames, range(NUM_MASKS)).unique().tolist() == [0]
    assert winners(frames, (14, 2))[0].tolist() == [[14] * 3, [2] * 3]
