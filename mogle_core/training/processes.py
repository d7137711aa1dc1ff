"""The processes that train together: their shares of a step, and the sum of their gradients."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Processes:
    """This process among `count`. `accelerate launch` or torchrun starts several; otherwise there is one.

    hosts: a CPU group, in which they exchange flags without waiting for a GPU.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")
    hosts: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, whole: Sequence[_Item]) -> Sequence[_Item]:
        """This process's part of a step."""
        return whole[self.rank :: self.count]

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Sum the tensors over all processes, in place."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def any(self, here: bool) -> bool:
        """Whether `here` is true in any process; all must call this at the same place."""
        if self.count == 1:
            return here
        flag = torch.tensor(int(here))
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self.hosts)
        return bool(flag)

    def wait(self) -> None:
        if self.count > 1:
            dist.barrier(group=self.hosts)


def join_processes() -> Processes:
    """Join the processes that a launcher has started, by accelerate. Without a launcher there is one."""
    from accelerate import PartialState

    devices = (torch.cuda, torch.xpu, torch.backends.mps)
    state = PartialState(
        cpu=not any(device.is_available() for device in devices)
    )  # otherwise accelerate does not create a CPU group
    count = int(state.num_processes)
    # The others wait while the first process fills the cache, which may exceed the default timeout of half an hour.
    hosts = dist.new_group(backend="gloo", timeout=timedelta(days=7)) if count > 1 else None
    return Processes(int(state.process_index), count, torch.device(state.device), hosts)


class StopRequest:
    """Whether a person or a scheduler has asked the run to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)  # the second signal stops the process at once


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Inside, SIGINT and SIGTERM only set a flag, so that the step can be finished and saved."""
    request = StopRequest()
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
