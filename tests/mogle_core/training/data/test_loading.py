"""Batches that other processes load ahead of the step: the same bits, and what happens when one of them dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy_run import Listener, NoiseSamples, StoredSamples, config, everything, trainer
from torch import Tensor

from mogle_core.training import checkpoints
from mogle_core.training.data import loading
from mogle_core.training.data.loading import with_tensors
from mogle_core.training.data.schedule import Pick
from mogle_core.training.loop import Due, Trainer, fit
from mogle_core.training.processes import Processes
from mogle_core.training.step import Batch

pytestmark = pytest.mark.skipif(os.name != "posix" or not hasattr(os, "fork"), reason="needs fork")


class DiskSamples(StoredSamples):
    """Pairs that a loading process may read.

    seconds: to read a sample, as from a slow disk. dies: with this sample. absent: this one is not stored.
    breaks: with an error. read: a folder in which each sample that is read leaves a file.
    """

    def __init__(
        self, seconds: float = 0.0, dies: int = -1, absent: int = -1, breaks: int = -1, read: Path | None = None
    ) -> None:
        super().__init__()
        self.read = read
        self.seconds, self.dies, self.absent, self.breaks = seconds, dies, absent, breaks
        self.home = os.getpid()
        self.at_home: list[int] = []

    def stored(self, pick: Pick) -> bool:
        return pick.sample != self.absent

    def batch(self, picks: Sequence[Pick], device: torch.device) -> Batch:
        numbers = [pick.sample for pick in picks]
        if os.getpid() == self.home:
            self.at_home += numbers
        elif self.dies in numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.breaks in numbers:
            raise ValueError("cache/faces-1.safetensors is damaged")
        for number in numbers if self.read else ():
            (self.read / str(number)).touch()
        time.sleep(self.seconds * len(picks))
        return super().batch(picks, device)


def run(samples: NoiseSamples, workers: int, steps: int = 6, processes: Processes | None = None) -> Trainer:
    loop = {"steps": steps, "batch": 4, "accumulate": 2, "checkpoint_every": 3, "seed": 3, "workers": workers}
    return trainer(config(loop=loop), processes, samples)


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def trained(made: Trainer, folder: Path) -> dict[str, Tensor]:
    assert fit(made, Due(folder), Listener())
    return everything(made)


def check_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return trained(run(DiskSamples(), 0), tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize("workers", [1, 3])
def test_loaded_elsewhere_it_is_the_same_run_to_the_bit(workers: int, alone: dict[str, Tensor], tmp_path: Path) -> None:
    samples = DiskSamples()
    check_equal(trained(run(samples, workers), tmp_path), alone)
    assert samples.at_home == [0]  # from which the size of a batch is known


def test_resumed_with_other_workers_it_is_the_same_run(alone: dict[str, Tensor], tmp_path: Path) -> None:
    first = run(DiskSamples(), 2)
    for _ in range(3):
        first.take_step()
    state = first.state()
    first.data.close()
    second = run(DiskSamples(), 1)
    second.restore(state)
    check_equal(trained(second, tmp_path), alone)
    assert checkpoints.newest(tmp_path) is not None


def test_what_needs_an_encoder_is_loaded_at_home(alone: dict[str, Tensor], tmp_path: Path) -> None:
    samples = DiskSamples(absent=13)
    check_equal(trained(run(samples, 2), tmp_path), alone)
    assert 13 in samples.at_home
    assert len(samples.at_home) == 3  # the first sample, and the two of the part with the absent one


def test_without_a_cache_everything_is_loaded_at_home(tmp_path: Path) -> None:
    samples = NoiseSamples()
    made = run(samples, 2)
    trained(made, tmp_path)
    assert made.data._coming is None


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_its_samples_are_not_lost(
    alone: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    samples = DiskSamples(dies=9)
    made = run(samples, 1)
    begin = made.data._begin

    def healed(step: int, place: int = 0) -> None:
        samples.dies = -1 if made.data._deaths else samples.dies
        begin(step, place)

    monkeypatch.setattr(made.data, "_begin", healed)
    check_equal(trained(made, tmp_path), alone)
    assert made.data._deaths == 1
    assert "A process that loads the data was lost" in caplog.text


@pytest.mark.slow
def test_processes_that_die_again_and_again_end_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "TRIES", 0)
    with pytest.raises(ValueError, match="die again and again .* Lower loop.workers"):
        trained(run(DiskSamples(dies=9), 1), tmp_path)


def test_an_error_arrives_as_it_was_raised(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^cache/faces-1.safetensors is damaged$"):
        trained(run(DiskSamples(breaks=9), 2), tmp_path)


@pytest.mark.parametrize(("parent", "lives"), [("the one that started it", True), ("another", False)])
def test_a_loading_process_ends_with_the_process_that_started_it(parent: str, lives: bool) -> None:
    """Which may have any id: alone in a container it is 1."""
    given = os.getpid() if lives else os.getpid() + 1
    child = os.fork()
    if not child:
        loading._begin_process(given, 0)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (7 if lives else 1), parent


@pytest.mark.parametrize("error", [RuntimeError("a process exited"), EOFError(), ConnectionRefusedError()])
def test_however_a_lost_process_shows_it_is_started_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = run(DiskSamples(), 0)
    errors = [error]

    def received(parts: loading.Parts) -> None:
        if errors:
            raise errors.pop()

    monkeypatch.setattr(loading.Parts, "_received", received)
    check_equal(trained(made, tmp_path / "lost"), trained(run(DiskSamples(), 0), tmp_path / "whole"))
    assert not errors


def test_an_error_of_the_card_is_not_taken_for_a_lost_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def received(parts: loading.Parts) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(loading.Parts, "_received", received)
    with pytest.raises(RuntimeError, match="CUDA error"):
        trained(run(DiskSamples(), 0), tmp_path)


def test_shared_memory_limits_the_processes(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    made = run(DiskSamples(), 3)
    part = made.load(made.parts(0)[0]).bytes

    @dataclass
    class Disk:
        free: int

    room = 2 * (loading.AHEAD + 1) * part
    monkeypatch.setattr(loading.shutil, "disk_usage", lambda _path: Disk(2 * room))
    assert made.data._possible(0) == 2
    assert "holds the data of 2 of 3 loading processes" in caplog.text
    monkeypatch.setattr(loading.shutil, "disk_usage", lambda _path: Disk(0))
    assert made.data._possible(0) == 0


def test_later_steps_are_loaded_while_a_step_is_computed(tmp_path: Path) -> None:
    samples = DiskSamples(read=tmp_path)
    made = run(samples, 1)
    next(made.data.step(0))
    until(lambda: (tmp_path / "4").exists())  # a sample of the second step
    made.data.close()


def test_the_wait_for_a_slow_disk_is_reported(tmp_path: Path) -> None:
    """20 ms for each sample; without loading processes, every step of four waits for all of them."""
    heard = Listener()
    assert fit(run(DiskSamples(seconds=0.02), 0, steps=2), Due(tmp_path), heard)
    values = heard.measures[-1][1]
    assert 0.08 <= values["data_seconds_per_step"] <= values["seconds_per_step"]
    share = values["data_seconds_per_step"] / values["seconds_per_step"]
    assert values["data_share"] == pytest.approx(share, rel=1e-3)


def test_tensors_are_changed_wherever_they_are() -> None:
    record: Any = (torch.ones(2), [torch.ones(1)], {"a": torch.ones(3)}, None, (1, 2))
    doubled = with_tensors(record, lambda tensor: 2 * tensor)
    assert doubled[0].tolist() == [2, 2]
    assert doubled[1][0].tolist() == [2]
    assert doubled[2]["a"].tolist() == [2, 2, 2]
    assert doubled[3:] == (None, (1, 2))
    batch = Batch(*(torch.ones(1, 6, 64),) * 4, (2, 3))
    assert with_tensors(batch, lambda tensor: tensor + 1).x0.unique().tolist() == [2]
