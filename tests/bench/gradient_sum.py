"""How long two processes wait for the sum of their gradients, which is one call after the backward pass.

    python -m torch.distributed.run --standalone --nproc-per-node 2 tests/bench/gradient_sum.py

It prints the share of a step of the toy, and the time of the sum alone for the 14.6 million numbers that are trained at
FLUX.1-dev's size: what an overlap with the backward pass could save at most.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support.toy_run import NoiseSamples, config, trainer
from torch import Tensor

from mogle_core.training.processes import Processes, join_processes

NUMBERS = 14_487_808 + 101_780


class Timed:
    """Processes that note how long they add."""

    def __init__(self, processes: Processes) -> None:
        self.processes, self.times = processes, list[float]()

    def __getattr__(self, name: str) -> object:
        return getattr(self.processes, name)

    def add(self, tensors: Sequence[Tensor]) -> None:
        self.processes.wait()  # so that only the sum is measured, and not how far the other process is behind
        begun = time.perf_counter()
        self.processes.add(tensors)
        self.times.append(time.perf_counter() - begun)


def main() -> None:
    processes = Timed(join_processes())
    run = trainer(config(loop={"batch": 8, "steps": 20}), processes, NoiseSamples(grid=(8, 8)))  # type: ignore[arg-type]
    steps = []
    for _ in range(12):
        begun = time.perf_counter()
        run.take_step()
        steps.append(time.perf_counter() - begun)
    step, add = statistics.median(steps[2:]), statistics.median(processes.times[2:])
    whole = [torch.zeros(NUMBERS)]
    for _ in range(5):
        processes.add(whole)
    if processes.processes.first:
        numbers = sum(vector.numel() for vector in run.trainables.gradients())
        print(f"toy: {step:.3f} s a step, {1000 * add:.1f} ms for the sum of {numbers:,} numbers ({add / step:.1%})")
        print(f"FLUX.1-dev's {NUMBERS:,} numbers: {1000 * statistics.median(processes.times[-5:]):.0f} ms for the sum")


if __name__ == "__main__":
    main()
