"""Networks that run in the workers of a Ray cluster and are called as if they were here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..support.cluster import Cluster, Workers

Call = tuple[str, str, tuple[Any, ...]]
"""The network's name, the method, and what it is given."""


class SpreadNetwork:
    """One of `SpreadNetworks`. A plain call runs on one worker; `each` spreads many calls over all workers."""

    def __init__(self, workers: Workers[Call, Any], name: str, method: str = "__call__") -> None:
        self._workers, self._name, self._method = workers, name, method

    def __call__(self, *given: Any) -> Any:
        return next(self.each([given]))

    def texts(self, *given: Any) -> Any:
        """The method `texts` of a network that has one."""
        return SpreadNetwork(self._workers, self._name, "texts")(*given)

    def each(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """The results of the calls, in their order. Raises what a call raises."""
        lots = ((self._name, self._method, given) for given in calls)
        for _, result in self._workers.in_order(lots):
            yield result


class SpreadNetworks:
    """Networks by their names, each loaded once in every worker. load: takes a device."""

    def __init__(self, cluster: Cluster, load: Callable[[str], Mapping[str, Any]]) -> None:
        self._workers: Workers[Call, Any] = Workers(cluster, partial(_load, load, cluster.device))

    def __getitem__(self, name: str) -> SpreadNetwork:
        return SpreadNetwork(self._workers, name)

    def close(self) -> None:
        self._workers.close()


def each_of(network: Any, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """The network's results for all calls, in order, whether it is here or spread over workers."""
    if isinstance(network, SpreadNetwork):
        return network.each(calls)
    return (network(*given) for given in calls)


def _load(load: Callable[[str], Mapping[str, Any]], device: str) -> Callable[[Call], Any]:
    """In a worker."""
    networks = load(device)

    @torch.no_grad()
    def call(lot: Call) -> Any:
        name, method, given = lot
        function = networks[name] if method == "__call__" else getattr(networks[name], method)
        return _to("cpu", function(*_to(device, given)))

    return call


def _to(device: str, values: Any) -> Any:
    """Tensors, alone or in lists and tuples, on a device."""
    if isinstance(values, Tensor):
        return values.to(device)
    if isinstance(values, (list, tuple)):
        return type(values)(_to(device, each) for each in values)
    return values
