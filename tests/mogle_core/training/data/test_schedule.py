"""The schedule: each step depends only on its number, pairs are shown equally often, a batch has one grid."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mogle_core.training.data.schedule import Schedule

GRIDS = [(4, 4)] * 5 + [(2, 8)] * 3 + [(8, 2)] * 1


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(0, 3))
@settings(max_examples=30)
def test_any_step_is_the_same_whatever_came_before(number: int, batch: int, seed: int) -> None:
    used = Schedule(GRIDS, batch, seed)
    for earlier in range(number % 17):
        used.step(earlier)
    assert used.step(number) == Schedule(GRIDS, batch, seed).step(number)


@given(st.integers(1, 7), st.integers(0, 3), st.integers(0, 50))
@settings(max_examples=30)
def test_a_batch_is_of_one_grid_and_samples_are_counted_over_the_run(batch: int, seed: int, number: int) -> None:
    picks = Schedule(GRIDS, batch, seed).step(number)
    assert len({GRIDS[pick.pair] for pick in picks}) == 1
    assert [pick.sample for pick in picks] == list(range(number * batch, (number + 1) * batch))


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
@pytest.mark.parametrize("grids", [GRIDS, [(4, 4)] * 9])
def test_a_cycle_shows_every_pair_equally_often(batch: int, grids: list[tuple[int, int]]) -> None:
    schedule = Schedule(grids, batch, 1)
    for cycle in range(3):
        steps = range(cycle * len(grids), (cycle + 1) * len(grids))
        counts = Counter(pick.pair for step in steps for pick in schedule.step(step))
        assert counts == dict.fromkeys(range(len(grids)), batch)


def test_no_pair_comes_twice_before_all_of_its_grid_came_once() -> None:
    schedule = Schedule([(4, 4)] * 10, 5, 0)
    for step in range(0, 20, 2):
        seen = [pick.pair for number in (step, step + 1) for pick in schedule.step(number)]
        assert sorted(seen) == list(range(10))


def test_seeds_and_rounds_have_different_orders() -> None:
    orders = {
        tuple(pick.pair for pick in Schedule([(1, 1)] * 20, 20, seed).step(step)) for seed in (0, 1) for step in (0, 1)
    }
    assert len(orders) == 4


def test_nothing_to_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="0 pairs"):
        Schedule([], 2, 0)
