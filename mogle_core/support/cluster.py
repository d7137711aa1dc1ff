"""Spreads work over the processes of a Ray cluster: each loads its models once and takes small lots of jobs.

Ray is only imported when a cluster starts. A worker is a function that loads the models and returns a function. Both
are pickled, so they must be functions at the top level of a module, or partials of such functions.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Generic, TypeVar

import torch

from .progress import show_workers

logger = logging.getLogger(__name__)

Lot = TypeVar("Lot")
Result = TypeVar("Result")
Load = Callable[[], Callable[[Lot], Result]]
"""Loads models and returns the function that works on a lot with them."""

HERE = "here"
"""The address that means this machine alone."""

AHEAD = 2
"""Lots in flight for each worker: one is being worked on, and one waits there."""

TRIES = 3
"""How many workers may die during a lot before it fails."""

_STORE = 96 * 2**20
"""Bytes of Ray's object store for each worker of a cluster on this machine; lots in flight take a few megabytes."""

_PATIENCE = 300.0
"""Seconds to wait for the first worker."""


class ClusterError(ValueError):
    """The cluster cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Cluster:
    """The cluster to use. address: HERE, `auto` (RAY_ADDRESS, or a cluster on this machine), or HOST:PORT.

    workers: 0 takes one for each GPU, or for each share of `threads` cores. threads: of torch in each worker; pictures
    depend on them, so the caller sets them.
    """

    address: str = HERE
    workers: int = 0
    gpus_per_worker: float = 0.0
    threads: int = field(default_factory=torch.get_num_threads)

    @property
    def device(self) -> str:
        return "cuda" if self.gpus_per_worker else "cpu"


@dataclass
class _Task(Generic[Lot]):
    number: int
    lot: Lot
    deaths: int = 0


class Workers(Generic[Lot, Result]):
    """The first `run` starts the workers, `close` stops them. load: runs in each worker and returns its function."""

    def __init__(self, cluster: Cluster, load: Load[Lot, Result]) -> None:
        self.cluster, self._load = cluster, load
        self._started = False
        self._actors: list[Any] = []
        self._pending: dict[Any, tuple[Any, _Task[Lot] | None]] = {}
        self.size = cluster.workers

    def run(self, lots: Iterable[Lot]) -> Iterator[tuple[Lot, Result | Exception]]:
        """Yield each lot with its result or its error, as they come.

        Lots are taken from the iterable as workers become free, so memory does not grow with their number. The
        lot of a worker that dies goes to another one.

        Raises:
            ClusterError: no worker can be started. What `load` raises is raised as it is.
        """
        for task, result in self._done(lots):
            yield task.lot, result

    def in_order(self, lots: Iterable[Lot]) -> Iterator[tuple[Lot, Result]]:
        """As `run`, in the order of the lots. Raises what went wrong with a lot."""
        early: dict[int, tuple[Lot, Result]] = {}
        following = 0
        for task, result in self._done(lots):
            if isinstance(result, Exception):
                raise result
            early[task.number] = task.lot, result
            while following in early:
                yield early.pop(following)
                following += 1

    def close(self) -> None:
        """Stop the workers, and the cluster if it was started here."""
        if self._started:
            import ray

            self._started = False
            self._actors, self._pending = [], {}
            show_workers(None)
            ray.shutdown()

    def _done(self, lots: Iterable[Lot]) -> Iterator[tuple[_Task[Lot], Result | Exception]]:
        fresh = map(_Task, count(), lots)
        again = deque(islice(fresh, 1))  # without lots, no worker is started
        exhausted = not again
        if again:
            self._start()
        while again or not exhausted or self._is_busy():
            while (again or not exhausted) and (actor := self._free()) is not None:
                task = again.popleft() if again else next(fresh, None)
                exhausted = task is None
                if task is not None:
                    self._pending[actor.work.remote(task.lot)] = (actor, task)
            if self._is_busy() or again or not exhausted:
                yield from self._arrived(again)

    def _start(self) -> None:
        if self._started:
            return
        ray = _started(self.cluster)
        self._started = True
        self.size = self.cluster.workers or _as_many_as_fit(self.cluster, ray.cluster_resources())
        cores = float(ray.cluster_resources().get("CPU", 1))
        share = min(1.0, int(100 * cores / self.size) / 100)
        self._options = {
            "num_cpus": share,
            "num_gpus": self.cluster.gpus_per_worker,
            "scheduling_strategy": "SPREAD",
            "max_restarts": 0,
        }
        self._begun = time.monotonic()
        show_workers(0)
        for _ in range(self.size):
            self._add()

    def _add(self) -> None:
        """Start one more worker; it counts as free after loading."""
        import ray

        actor = ray.remote(_Worker).options(**self._options).remote(self.cluster.threads, self._load)
        self._pending[actor.load.remote()] = (actor, None)

    def _is_busy(self) -> bool:
        return any(task is not None for _, task in self._pending.values())

    def _free(self) -> Any:
        under_way = [actor for actor, task in self._pending.values() if task is not None]
        return next((actor for actor in self._actors if under_way.count(actor) < AHEAD), None)

    def _arrived(self, again: deque[_Task[Lot]]) -> Iterator[tuple[_Task[Lot], Result | Exception]]:
        """Wait for one answer. A lot whose worker died is put into `again`."""
        import ray

        ready, _ = ray.wait(list(self._pending), timeout=5.0)
        if not ready:
            self._check_patience()
            return
        actor, task = self._pending.pop(ready[0])
        try:
            result = ray.get(ready[0])
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if task is None:
                raise cause from error
            yield task, cause
        except ray.exceptions.RayError as error:
            yield from self._replaced(actor, task, error, again)
        else:
            if task is None:
                self._actors.append(actor)
                show_workers(len(self._actors))
            else:
                yield task, result

    def _replaced(
        self, actor: Any, task: _Task[Lot] | None, error: Exception, again: deque[_Task[Lot]]
    ) -> Iterator[tuple[_Task[Lot], Result | Exception]]:
        import ray

        if actor in self._actors:
            logger.warning("A worker was lost; its jobs go to another one.")
            self._actors.remove(actor)
            show_workers(len(self._actors))
            ray.kill(actor)  # it may only be out of reach
            self._add()
        if task is None:
            self._check_patience()
            self._add()
            return
        task.deaths += 1
        if task.deaths < TRIES:
            again.append(task)
        else:
            yield task, ClusterError(f"{TRIES} workers died over it ({type(error).__name__}): look at its memory.")

    def _check_patience(self) -> None:
        if not self._actors and time.monotonic() - self._begun > _PATIENCE:
            raise ClusterError(
                f"No worker could be started within {_PATIENCE:g} s: the cluster has no free cores or GPUs for "
                f"--gpus-per-worker {self.cluster.gpus_per_worker:g}. `ray status` shows what is taken."
            )


class _Worker:
    """The object that runs in a process of the cluster."""

    def __init__(self, threads: int, load: Load[Any, Any]) -> None:
        torch.set_num_threads(threads)
        self._load = load

    def load(self) -> None:
        self._do = self._load()

    def work(self, lot: Any) -> Any:
        return self._do(lot)


def _started(cluster: Cluster) -> Any:
    """Ray, connected. Raises ClusterError; ModuleNotFoundError without the extra `cluster`."""
    import ray

    environment = {"env_vars": {"OMP_NUM_THREADS": str(cluster.threads)}}
    given: dict[str, Any] = {"runtime_env": environment, "log_to_driver": False, "logging_level": logging.ERROR}
    if cluster.address == HERE:
        workers = cluster.workers or (os.cpu_count() or 1)
        given |= {"address": "local", "include_dashboard": False, "object_store_memory": max(_STORE, _STORE * workers)}
    else:
        given["address"] = cluster.address
    try:
        ray.init(**given)
    except Exception as error:  # Ray raises a bare Exception if a busy machine does not start it in time
        if cluster.address == HERE:
            raise ClusterError(
                f"Ray did not start on this machine ({error}): try again when it is less busy."
            ) from error
        where = f"at {cluster.address}"
        raise ClusterError(f"There is no Ray cluster {where} ({error}): start one with `ray start --head`.") from error
    return ray


def _as_many_as_fit(cluster: Cluster, resources: dict[str, float]) -> int:
    if cluster.gpus_per_worker:
        return max(1, int(resources.get("GPU", 0) / cluster.gpus_per_worker))
    return max(1, int(resources.get("CPU", 1) / cluster.threads))
