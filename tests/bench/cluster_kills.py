"""Toy pictures on two Ray nodes of one machine, one of which is killed, and by a caller that is killed twice.

    RAY_AUTH_MODE=disabled python tests/bench/cluster_kills.py            200 pictures of 64 x 64 pixels
    RAY_AUTH_MODE=disabled python tests/bench/cluster_kills.py --count 40

Three runs of `mogle generate`: by one process; on two nodes, of which one is killed by signal once a third of the
pictures is there; and on two nodes with a caller that is killed after a third and after two thirds and called again.
All have to end with the same pictures to the bit.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
MEMORY = 80 * 2**20


def started(faces: Path, out: Path, *cluster: str) -> subprocess.Popen[bytes]:
    settings = ("--toy", "--size", "64", "--steps", "2")
    command = [sys.executable, "-m", "mogle_core.cli", "generate", str(faces), *settings, "--out", str(out), *cluster]
    return subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def when(count: int, out: Path, caller: subprocess.Popen[bytes], act: Callable[[], object]) -> None:
    """Act as soon as there are so many pictures, while the caller runs."""
    while len(list(out.glob("*.png"))) < count:
        if caller.poll() is not None:
            raise SystemExit(f"the caller ended with {caller.returncode} before {count} pictures")
        time.sleep(0.05)
    act()


def main(count: int, folder: Path) -> bool:
    from ray.cluster_utils import Cluster as Nodes

    faces = folder / "faces"
    draw = [sys.executable, "-m", "mogle_core.cli", "toy", "faces", str(faces), "--count", str(count), "--size", "64"]
    subprocess.run(draw, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert started(faces, folder / "alone").wait() == 0
    alone = pictures(folder / "alone")
    nodes: Any = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    kept = nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    lost = nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    spread = ("--cluster", nodes.address, "--workers", "2")

    caller = started(faces, folder / "node", *spread)
    when(count // 3, folder / "node", caller, lambda: nodes.remove_node(lost, allow_graceful=False))
    there = len(pictures(folder / "node"))
    ended = caller.wait()
    one = ended == 0 and pictures(folder / "node") == alone
    print(f"a node killed after {there} of {len(alone)}: exit status {ended}, all there and equal: {one}", flush=True)

    nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    at = []
    for part in (1, 2):
        caller = started(faces, folder / "caller", *spread)
        when(part * count // 3, folder / "caller", caller, lambda: caller.send_signal(signal.SIGKILL))  # noqa: B023
        caller.wait()
        at.append(len(pictures(folder / "caller")))
    ended = started(faces, folder / "caller", *spread).wait()
    two = ended == 0 and pictures(folder / "caller") == alone
    print(f"the caller killed after {at[0]} and {at[1]}: exit status {ended}, all there and equal: {two}", flush=True)
    assert kept in nodes.worker_nodes
    nodes.shutdown()
    return one and two


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        sys.exit(0 if main(options.count, Path(place)) else 1)
