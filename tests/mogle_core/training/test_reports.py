"""What is reported of a run: on a full disk, and of a loss that is not finite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.full_disk import room_for
from support.toy_run import Listener, config, trainer

from mogle_core.training.loop import Due, fit
from mogle_core.training.reports import Reports


def test_a_full_disk_loses_events_and_not_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports(tmp_path, config())
    with room_for((tmp_path / "events.jsonl").stat().st_size + 5):
        reports.event("lost", step=1)
        reports.measured(2, {"loss": 1.0})
    reports.event("kept", step=3)
    reports.close()
    assert caplog.text.count("Events are not recorded") == 1
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in (lines[0], lines[-1])] == ["started", "kept"]


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_is_said_to_be_so(
    loss: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reports = Reports(tmp_path, config())
    reports.measured(1, {"loss": loss, "seconds_per_step": 2.0})
    reports.close()
    event = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert event["loss"] is None
    assert event["seconds_per_step"] == 2.0
    assert "loss not finite  2.00 s/step" in caplog.text


@pytest.mark.parametrize("broken", [0, 3, 10])
def test_the_loss_is_the_mean_of_the_finite_ones(broken: int, tmp_path: Path) -> None:
    run, listener = trainer(config(loop={"steps": 10, "checkpoint_every": 100})), Listener()
    take = run.take_step

    def step() -> tuple[torch.Tensor, torch.Tensor]:
        take()
        return torch.tensor(torch.nan if run.step <= broken else 2.0), torch.tensor(1.0)

    run.take_step = step  # type: ignore[method-assign]
    fit(run, Due(tmp_path), listener)
    (_, values) = listener.measures[-1]
    assert values["loss"] == 2.0 if broken < 10 else values["loss"] != values["loss"]
