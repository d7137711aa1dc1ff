"""Checkpoint files are whole or absent; the newest readable one is used; the others get an error message."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.full_disk import room_for

from mogle_core.support.whole_files import DiskFullError
from mogle_core.training import checkpoints
from mogle_core.training.checkpoints import CheckpointError, State


def state(step: int) -> State:
    vector = {"lora": torch.full((3,), float(step))}
    return State(step, vector, {}, {"state": {}, "param_groups": []}, 0, "", "data", {"torch": "2"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = checkpoints.read(checkpoints.write(tmp_path, state(7), keep=3))
    assert (found.step, found.fingerprint) == (7, "data")
    assert torch.equal(found.trained["lora"], torch.full((3,), 7.0))


def test_the_oldest_are_deleted(tmp_path: Path) -> None:
    for step in range(1, 6):
        checkpoints.write(tmp_path, state(step), keep=2)
    assert [path.name for path in checkpoints.steps_of(tmp_path)] == ["step_00000004.pt", "step_00000005.pt"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, state(1), keep=1)
    with room_for(1000), pytest.raises(DiskFullError):
        checkpoints.write(tmp_path, state(2), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.pt"]


def test_the_newest_that_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2):
        checkpoints.write(tmp_path, state(step), keep=3)
    cut = tmp_path / "step_00000002.pt"
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "step_00000003.pt.partial").write_bytes(b"half")
    found = checkpoints.newest(tmp_path)
    assert found is not None and found.step == 1
    assert "step_00000002.pt is cut" in caplog.text
    assert not list(tmp_path.glob("*.partial"))
    assert checkpoints.newest(tmp_path / "empty") is None


def test_sentences(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint .*gone\.pt"):
        checkpoints.read(tmp_path / "gone.pt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"set model\.init instead"):
        checkpoints.read(tmp_path / "other.pt")
