"""Makes pictures on the workers of a Ray cluster. Each worker is a `LocalBackend` with its copy of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any

from torch import Tensor

from ..support.cluster import Cluster, Workers
from .backend import BackendError, Made, Order, Written
from .local import LocalBackend
from .models import Sources
from .settings import Settings
from .writing import Notes, write_picture

Lot = list[Order]
Answer = list["Made"]


class ClusterBackend:
    """A `Backend`. Pictures come back to the caller; with `write_there` the workers write them.

    Every worker reads the weights from the same paths. Pictures are those of one process with as many threads.
    """

    longest_first = True

    def __init__(
        self, cluster: Cluster, sources: Sources, batch: int = 1, one_pass: bool = False, write_there: bool = False
    ) -> None:
        self.cluster, self.batch, self.write_there = cluster, batch, write_there
        self._load = partial(_load, sources, cluster.device, batch, one_pass)
        self._here = LocalBackend(
            sources, cluster.device, batch, one_pass
        )  # does not read large files before the first picture
        self._workers: Workers[Lot, Answer] | None = None

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        return self._here.facts

    def prepare(self, prompts: Sequence[str]) -> None:
        """Each worker encodes the prompts of its own pictures."""

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Made]]:
        self._workers = Workers(self.cluster, partial(self._load, settings, self.write_there))
        try:
            for lot, answer in self._workers.run(_lots(orders, self.batch)):
                if isinstance(answer, BackendError):
                    raise answer
                yield from (
                    ((order, answer) for order in lot)
                    if isinstance(answer, Exception)
                    else zip(lot, answer, strict=True)
                )
        finally:
            self._workers.close()

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any]:
        return self._here.prompt(order, settings)

    def close(self) -> None:
        self._here.close()
        if self._workers is not None:
            self._workers.close()


def _lots(orders: Iterable[Order], size: int) -> Iterator[Lot]:
    waiting = iter(orders)
    while lot := list(islice(waiting, size)):
        yield lot


def _load(
    sources: Sources, device: str, batch: int, one_pass: bool, settings: Settings, write_there: bool
) -> Callable[[Lot], Answer]:
    """Runs in a worker: open the files, and return the function that makes a lot of pictures."""
    from ..toy.registration import register_toy

    register_toy()
    backend = LocalBackend(sources, device, batch, one_pass)

    def make(lot: Lot) -> Answer:
        made: Answer = [picture for _, picture in backend.make(lot, settings)]
        return [_written(backend, *each, settings) for each in zip(lot, made, strict=True)] if write_there else made

    return make


def _written(backend: LocalBackend, order: Order, picture: Made, settings: Settings) -> Made:
    if not isinstance(picture, Tensor) or order.target is None:
        return picture
    notes = Notes(order.job, settings, order.target.digest, backend.prompt(order, settings))
    try:
        write_picture(picture, order.target.file, notes, order.target.quality)
    except OSError as error:
        return error
    return Written()
