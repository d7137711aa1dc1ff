"""Loads the batches of coming steps in other processes while a step is computed: torch's DataLoader.

Its sampler is the schedule. Everything random belongs to a sample's number, so the batches do not depend on the
number of loading processes, nor on the step at which a run resumes.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ..step import Batch
from .draws import Draws
from .schedule import Pick

logger = logging.getLogger(__name__)

WORKERS = 4
"""Loading processes of each training process, unless loop.workers says how many."""

AHEAD = 2
"""Parts of a step that each loading process holds ready."""

TRIES = 3
"""How often the loading processes are started again in a run after one of them died."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where torch passes tensors between processes)

Part = tuple[Pick, ...]
"""The samples of one forward pass."""


@dataclass(frozen=True)
class Loaded:
    """One part of a step: its samples and what was drawn for them."""

    batch: Batch
    draws: Draws
    count: int

    def to(self, device: torch.device) -> Loaded:
        """From pinned memory the copy runs while the host goes on."""
        moved: Loaded = with_tensors(self, lambda tensor: tensor.to(device, non_blocking=device.type == "cuda"))
        return moved

    def pin_memory(self) -> Loaded:
        """Called by the DataLoader."""
        pinned: Loaded = with_tensors(self, lambda tensor: tensor.pin_memory())
        return pinned

    @property
    def bytes(self) -> int:
        sizes: list[int] = []

        def weigh(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor

        with_tensors(self, weigh)
        return sum(sizes)


def with_tensors(record: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A copy in which every tensor is changed, however deep it lies in dataclasses, tuples, lists and dictionaries."""
    if isinstance(record, Tensor):
        return change(record)
    if is_dataclass(record) and not isinstance(record, type):
        named = {field.name: with_tensors(getattr(record, field.name), change) for field in fields(record)}
        return replace(record, **named)
    if isinstance(record, dict):
        return {name: with_tensors(value, change) for name, value in record.items()}
    if type(record) in (list, tuple):
        return type(record)(with_tensors(value, change) for value in record)
    return record


class Parts:
    """The loaded parts of each step, in the order of the steps."""

    def __init__(
        self,
        parts: Callable[[int], Sequence[Part]],
        load: Callable[[Part], Loaded],
        storable: Callable[[Part], bool],
        steps: int,
        workers: int | None,
        device: torch.device,
    ) -> None:
        """
        Args:
            parts: of a step, those of this process. load: one of them, on the CPU.
            storable: whether a part can be loaded without an encoder, which only the training process has.
            steps: of the run. workers: loading processes; 0 loads in this process, None decides.
        """
        self.parts, self.load, self.storable = parts, load, storable
        self.steps, self.device = steps, device
        self.workers = WORKERS if workers is None else workers
        self.asked = workers is not None
        self.seconds = 0.0
        """How long this process has waited for data."""
        self._following = -1
        self._loader: Iterator[Loaded | Part | Exception] | None = None
        self._coming: Future[Loaded | Part | Exception | None] | None = None
        self._receiver = ThreadPoolExecutor(1, "mogle-data")  # torch asks the other process for each tensor
        self._deaths = 0

    def step(self, number: int) -> Iterator[Loaded]:
        """The parts of a step, on the device."""
        begun = time.perf_counter()
        if number != self._following:
            self._begin(number)
        self.seconds += time.perf_counter() - begun
        for place, part in enumerate(self.parts(number)):
            begun = time.perf_counter()
            loaded = self._next(number, place, part).to(self.device)
            self.seconds += time.perf_counter() - begun
            yield loaded
        self._following = number + 1

    def close(self) -> None:
        """End the loading processes. The next step starts them again."""
        self._stop()
        self._following = -1

    def _next(self, number: int, place: int, part: Part) -> Loaded:
        try:
            found = self._received()
        except (RuntimeError, EOFError, ConnectionError, FileNotFoundError) as error:  # a loading process is gone
            if "CUDA" in str(error):  # of the thread that pins memory
                raise
            return self._after_death(error, number, place, part)
        if found is None:
            found = part
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Loaded) else self.load(found)

    def _received(self) -> Loaded | Part | Exception | None:
        """What comes next from the loading processes; None if there are none, or after the last step."""
        if self._coming is None:
            return None
        found = self._coming.result()
        self._receive()
        return found

    def _receive(self) -> None:
        """Receive the next one while this thread goes on."""
        if self._loader is not None:
            self._coming = self._receiver.submit(next, self._loader, None)

    def _stop(self) -> None:
        if self._coming is not None:
            wait([self._coming])
        self._coming = self._loader = None

    def _after_death(self, error: Exception, number: int, place: int, part: Part) -> Loaded:
        self._deaths += 1
        if self._deaths > TRIES:
            raise ValueError(
                f"The processes that load the data die again and again ({error}), mostly for want of memory or "
                f"of room in {SHARED_MEMORY}. Lower loop.workers (0 loads in the training process) and go on with "
                "--resume auto."
            ) from error
        logger.warning("A process that loads the data was lost (%s); it is started again.", error)
        self._begin(number, place)
        return self._next(number, place, part)

    def _begin(self, step: int, place: int = 0) -> None:
        self._stop()
        self._following = step
        workers = self._possible(step)
        if workers and step < self.steps:
            self._loader = _begun(self, range(step, self.steps), place, workers)
            self._receive()

    def _possible(self, step: int) -> int:
        """How many loading processes this machine and these data allow."""
        first = next(iter(self.parts(step)), None)
        if not self.workers or first is None or not self.storable(first):
            return 0
        if not sys.platform.startswith("linux"):
            if self.asked:
                logger.warning("loop.workers = %d needs Linux: data are loaded in the training process.", self.workers)
            return 0
        return self._fitting(self.load(first[:1]).bytes * len(first))

    def _fitting(self, part: int) -> int:
        """How many loading processes fit into half of the shared memory, which containers often limit to 64 MiB."""
        if not SHARED_MEMORY.is_dir():
            return self.workers
        free = shutil.disk_usage(SHARED_MEMORY).free
        fitting = min(self.workers, int(free / 2 / max(1, part * (AHEAD + 1))))
        if fitting < self.workers:
            logger.warning(
                "%s has %d MiB free, which holds the data of %d of %d loading processes. A container gets more by "
                "--shm-size, such as docker run --shm-size 8g.",
                *(SHARED_MEMORY, free >> 20, fitting, self.workers),
            )
        return fitting


class _StoredParts(Dataset["Loaded | Part | Exception"]):
    """Loads parts in a loading process. A part that needs an encoder is returned unloaded."""

    def __init__(self, parts: Parts) -> None:
        self._load, self._storable = parts.load, parts.storable

    def __getitem__(self, part: Part) -> Loaded | Part | Exception:
        try:
            return self._load(part) if self._storable(part) else part
        except Exception as error:  # raised again by the training process, as it is
            return error


class _ScheduleSampler(Sampler[Part]):
    def __init__(self, parts: Callable[[int], Sequence[Part]], steps: range, place: int) -> None:
        self._parts, self._steps, self._place = parts, steps, place

    def __iter__(self) -> Iterator[Part]:
        for step in self._steps:
            yield from self._parts(step)[self._place if step == self._steps.start else 0 :]


def _loader(parts: Parts, steps: range, place: int, workers: int) -> DataLoader[Loaded | Part | Exception]:
    return DataLoader(
        _StoredParts(parts),
        batch_size=None,
        sampler=_ScheduleSampler(parts.parts, steps, place),
        num_workers=workers,
        prefetch_factor=AHEAD,
        collate_fn=_as_it_is,
        pin_memory=parts.device.type == "cuda",
        multiprocessing_context="fork",  # the cache's open files and its index are shared, not copied
        worker_init_fn=partial(_begin_process, os.getpid()),
        generator=torch.Generator(),  # leaves torch's random numbers as they are
    )


def _begun(parts: Parts, steps: range, place: int, workers: int) -> Iterator[Loaded | Part | Exception]:
    """A loader at work. Its handler of SIGCHLD would raise an error in the middle of a step if a process died."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD)
    with warnings.catch_warnings():
        # Processes that wait for a disk may outnumber the cores.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        coming = iter(_loader(parts, steps, place, workers))
    if main and before is not None:
        signal.signal(signal.SIGCHLD, before)
    return coming


def _as_it_is(found: Any) -> Any:
    return found


def _begin_process(parent: int, _number: int) -> None:
    """Ctrl-C and a scheduler's signal reach all processes; only the training process acts on them, after its step.

    The process ends with the training process, however that ends, so that it does not keep the run's lock.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _ignore_once)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # which is 1 in a container that runs nothing else
        os._exit(1)


def _ignore_once(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
