"""The record of a run's gate weights is exact and stays within its memory limit."""

from __future__ import annotations

import torch

from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.mixture.gate_record import GateRecord, GateStep

GRID = (2, 3)
BYTES = 6 * NUM_MASKS * 4


def step(sigma: float = 1.0) -> GateStep:
    weights = torch.rand(1, 6, NUM_MASKS).softmax(-1)
    return GateStep(torch.tensor([sigma]), weights, GRID, (0,))


def test_steps_are_kept_in_order_and_not_copied() -> None:
    record, steps = GateRecord(), [step(1.0), step(0.5), step(0.1)]
    for one in steps:
        record.add(one)
    assert record.steps == steps
    assert all(kept.weights is one.weights for kept, one in zip(record.steps, steps, strict=True))
    assert record.bytes == 3 * BYTES
    assert record.dropped == 0


def test_beyond_the_budget_steps_are_counted_only() -> None:
    record = GateRecord(budget=2 * BYTES + BYTES // 2)
    for _ in range(5):
        record.add(step())
    assert len(record.steps) == 2
    assert record.dropped == 3
    assert record.bytes == 2 * BYTES <= record.budget
    # A scalar gate's step is small enough for what is left.
    record.add(GateStep(torch.ones(1), torch.rand(1, 1, NUM_MASKS), GRID))
    assert len(record.steps) == 3


def test_a_step_as_large_as_the_budget_fits() -> None:
    record = GateRecord(budget=BYTES)
    record.add(step())
    assert len(record.steps) == 1


def test_a_new_run_forgets_the_one_before() -> None:
    record = GateRecord(budget=BYTES)
    record.add(step())
    record.add(step())
    kept = record.steps
    record.start()
    assert record.steps == []
    assert record.steps is kept  # whoever looks at the list sees the new run
    assert record.dropped == record.bytes == 0


def test_a_run_is_found_by_what_it_made_until_there_is_no_room() -> None:
    record, made = GateRecord(budget=3 * BYTES), [torch.rand(1, 16, 4, 4) for _ in range(3)]
    runs = [[step(), step()], [step()], [step(), step()]]
    for steps, latent in zip(runs, made, strict=True):
        record.start()
        for one in steps:
            record.add(one)
        record.finish(latent)
        found = record.run_of(latent.clone())
        assert found is not None
        assert [a.weights is b.weights for a, b in zip(found.steps, steps, strict=True)] == [True] * len(steps)
        assert record.bytes <= record.budget
    assert record.run_of(made[0]) is None  # given up for the third
    assert record.run_of(made[1]) is not None
    assert record.run_of(made[1].half()) is not None
    assert record.run_of(made[1][:, :8]) is None and record.run_of(made[1] + 1) is None


def test_finishing_keeps_every_number() -> None:
    record, one = GateRecord(), step(0.25)
    record.add(one)
    record.finish()
    (kept,) = record.steps
    assert torch.equal(kept.weights, one.weights)
    assert torch.equal(kept.sigma, one.sigma)
    assert (kept.grid, kept.conditionings) == (GRID, (0,))
    assert kept.weights.device.type == kept.sigma.device.type == "cpu"


def test_records_are_apart() -> None:
    first, second = GateRecord(), GateRecord()
    first.add(step())
    assert second.steps == []
    assert first.masks == second.masks == slice(0, NUM_MASKS)
