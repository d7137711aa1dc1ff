"""Work over a Ray cluster of two nodes on this machine: order, laziness, errors, and workers and nodes that die."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.places import REPOSITORY

from mogle_core.support.cluster import AHEAD, Cluster, ClusterError, Workers

pytestmark = pytest.mark.xdist_group("ray")  # one Ray at a time


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Ray's own helper for several nodes on one machine. The first node has no cores, so that it can outlive all."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    started = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 * 2**20})
    for _ in range(2):
        started.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    yield started
    started.shutdown()


def workers(nodes: Any, load: Callable[..., Any], count: int = 2) -> Workers[Any, Any]:
    return Workers(Cluster(nodes.address, workers=count, threads=1), load)


def squares() -> Callable[[int], int]:
    return lambda lot: lot * lot


@pytest.mark.slow
def test_every_lot_comes_back_once(nodes: Any) -> None:
    pool = workers(nodes, lambda: lambda lot: lot * lot)
    found = list(pool.run(range(40)))
    pool.close()
    assert sorted(found) == [(lot, lot * lot) for lot in range(40)]


@pytest.mark.slow
def test_in_order_means_in_the_order_of_the_lots(nodes: Any) -> None:
    def load() -> Callable[[int], int]:
        import time

        def work(lot: int) -> int:
            time.sleep(0.3 if lot == 0 else 0)
            return lot * 10

        return work

    pool = workers(nodes, load)
    assert list(pool.in_order(iter(range(20)))) == [(lot, lot * 10) for lot in range(20)]
    pool.close()


@pytest.mark.slow
def test_lots_are_taken_as_workers_become_free(nodes: Any) -> None:
    """Memory does not depend on the number of jobs: only a few of them are ever out of the iterator."""
    taken = 0

    def lots() -> Iterator[int]:
        nonlocal taken
        for lot in range(1000):
            taken += 1
            yield lot

    pool = workers(nodes, lambda: lambda lot: lot)
    most = 0
    for done, _ in enumerate(pool.run(lots())):
        most = max(most, taken - done)
    pool.close()
    assert taken == 1000
    assert most <= AHEAD * 2 + 1


@pytest.mark.slow
def test_threads_are_the_callers(nodes: Any) -> None:
    def load() -> Callable[[int], Any]:
        import torch

        return lambda lot: (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"])

    pool = Workers[Any, Any](Cluster(nodes.address, workers=1, threads=3), load)
    found = dict(pool.run([0]))
    pool.close()
    assert found == {0: (3, "3")}


@pytest.mark.slow
def test_an_error_belongs_to_its_lot(nodes: Any) -> None:
    def load() -> Callable[[int], int]:
        def work(lot: int) -> int:
            if lot == 3:
                raise ValueError("three is broken")
            return lot

        return work

    pool = workers(nodes, load)
    found = dict(pool.run(range(6)))
    pool.close()
    assert isinstance(found[3], ValueError)
    assert "three is broken" in str(found[3])
    assert [found[lot] for lot in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]


@pytest.mark.slow
def test_what_loading_raises_ends_the_run(nodes: Any) -> None:
    def load() -> Any:
        raise ValueError("There is no file flux.safetensors.")

    pool = workers(nodes, load)
    with pytest.raises(ValueError, match="There is no file flux"):
        list(pool.run(range(6)))
    pool.close()


@pytest.mark.slow
def test_the_lot_of_a_worker_that_is_killed_goes_to_another(nodes: Any, tmp_path: Path) -> None:
    def load() -> Callable[[int], int]:
        def work(lot: int) -> int:
            if lot == 5 and not (tmp_path / "died").exists():
                (tmp_path / "died").touch()
                os.kill(os.getpid(), 9)
            return lot

        return work

    pool = workers(nodes, load)
    found = dict(pool.run(range(20)))
    pool.close()
    assert (tmp_path / "died").exists()
    assert found == {lot: lot for lot in range(20)}


@pytest.mark.slow
def test_a_lot_that_kills_every_worker_is_given_up(nodes: Any) -> None:
    def load() -> Callable[[int], int]:
        def work(lot: int) -> int:
            if lot == 5:
                os.kill(os.getpid(), 9)
            return lot

        return work

    pool = workers(nodes, load, count=1)
    found = dict(pool.run([5]))
    pool.close()
    assert isinstance(found[5], ClusterError)
    assert "workers died over it" in str(found[5])


@pytest.mark.slow
def test_a_node_that_dies_loses_nothing(nodes: Any) -> None:
    third = nodes.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    def load() -> Callable[[int], int]:
        import time

        def work(lot: int) -> int:
            time.sleep(0.05)
            return lot

        return work

    pool = workers(nodes, load, count=3)
    found = {}
    for lot, result in pool.run(range(120)):
        found[lot] = result
        if len(found) == 30:
            nodes.remove_node(third, allow_graceful=False)
    pool.close()
    assert found == {lot: lot for lot in range(120)}


def test_no_lot_starts_nothing() -> None:
    assert list(Workers[Any, Any](Cluster("nowhere:1"), squares).run([])) == []


def test_an_address_without_a_cluster_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def fail(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ClusterError, match="There is no Ray cluster at auto .* start one with `ray start --head`"):
        list(Workers[Any, Any](Cluster("auto"), squares).run([1]))


def test_a_machine_too_busy_for_ray_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def fail(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ClusterError, match="Ray did not start on this machine .*timed out.* less busy"):
        list(Workers[Any, Any](Cluster(workers=1), squares).run([1]))


def test_ray_is_imported_only_when_a_cluster_starts() -> None:
    program = "import sys, mogle_core.support.cluster, mogle_core.generation.cluster; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
