"""Runs that are killed and resumed, or use several processes, give the same numbers as one uninterrupted run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.places import TESTS
from torch import Tensor

pytestmark = pytest.mark.slow

SCRIPT = TESTS / "shared/support/toy_run.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
BOTH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def launch(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launcher, str(SCRIPT), str(folder), *arguments]
    folder.mkdir(exist_ok=True)
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


def end(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / "end.pt", weights_only=True)


def check_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


@pytest.fixture(scope="module", params=["prodigy", "adamw"])
def in_one_go(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    done = launch(folder, request.param, "40")
    assert done.returncode == 0, done.stderr
    return request.param, folder


def test_killed_in_step_21_and_resumed_is_one_run_to_the_bit(in_one_go: tuple[str, Path], tmp_path: Path) -> None:
    """Every trained weight, its average, and every tensor and number of the optimiser."""
    optimiser, whole = in_one_go
    killed = launch(tmp_path, optimiser, "40", "in step 21")
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "end.pt").exists()
    resumed = launch(tmp_path, optimiser, "40")
    assert resumed.stdout.startswith("step 20"), resumed.stderr
    check_equal(end(whole), end(tmp_path))
    assert any(name.startswith("optimiser.") for name in end(whole))


def test_killed_while_writing_it_resumes_from_the_one_before(in_one_go: tuple[str, Path], tmp_path: Path) -> None:
    optimiser, whole = in_one_go
    killed = launch(tmp_path, optimiser, "40", "in writing 20")
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.glob("*.pt")] == ["step_00000010.pt"]
    assert ["step_00000020" in path.name for path in tmp_path.glob("*.partial")] == [True]
    resumed = launch(tmp_path, optimiser, "40")
    assert resumed.stdout.startswith("step 10"), resumed.stderr
    check_equal(end(whole), end(tmp_path))
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("optimiser", ["prodigy", "adamw"])
def test_two_processes_take_the_steps_of_one(optimiser: str, tmp_path: Path) -> None:
    """Ten steps of the same global batch, with torchrun over gloo."""
    alone = launch(tmp_path / "alone", optimiser, "10")
    together = launch(tmp_path / "together", optimiser, "10", launcher=BOTH)
    assert alone.returncode == together.returncode == 0, together.stderr
    one, two = end(tmp_path / "alone"), end(tmp_path / "together")
    assert one.keys() == two.keys()
    for name in one:
        if name.startswith(("network.", "lora.", "average.")):
            torch.testing.assert_close(two[name], one[name], atol=1e-5, rtol=0)
    moved = [name for name in one if name.startswith("lora.") and one[name].any()]
    assert moved


def test_two_processes_that_are_killed_and_resumed_are_one_run_of_two_to_the_bit(tmp_path: Path) -> None:
    whole = launch(tmp_path / "whole", "prodigy", "24", launcher=BOTH)
    killed = launch(tmp_path / "killed", "prodigy", "24", "in step 21", launcher=BOTH)
    assert whole.returncode == 0, whole.stderr
    assert killed.returncode != 0
    assert not (tmp_path / "killed/end.pt").exists()
    resumed = launch(tmp_path / "killed", "prodigy", "24", launcher=BOTH)
    assert resumed.returncode == 0, resumed.stderr
    assert "step 20" in resumed.stdout
    check_equal(end(tmp_path / "whole"), end(tmp_path / "killed"))
