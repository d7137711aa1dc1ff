"""How long 30,000 pictures take with up to 256 workers: a simulation of the scheduler with measured times.

    python tests/bench/cluster_times.py                          the caller's and a worker's times of the toy, here
    python tests/bench/cluster_times.py --seconds 12 --start 90  a worker of your own: seconds a picture and to start

The simulation does what `support/cluster.py` does: a worker has at most two lots, and the caller hands out, takes back
and writes one picture at a time. Measured here, in processor time of one thread: the spread of a worker's times, on the
toy, and writing a PNG of 512 x 512 pixels. Measured by `caller_memory.py`: the caller's other time for each picture
(--caller). Given: a worker's mean time and the seconds to load the models.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mogle_core.generation.backend import Order
from mogle_core.generation.jobs import Job
from mogle_core.generation.local import LocalBackend
from mogle_core.generation.models import toy_sources
from mogle_core.generation.settings import Settings
from mogle_core.generation.writing import Notes, write_picture
from mogle_core.support.cluster import AHEAD
from mogle_core.toy.drawer.faces import draw_face

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def simulated(times: Sequence[float], workers: int, caller: float, start: float) -> float:
    """Seconds until the last picture is written. times: of each picture in a worker, in the order of handing out."""
    free_at, ready = [start] * workers, [(start, worker) for worker in range(workers) for _ in range(AHEAD)]
    heapq.heapify(ready)
    caller_at = 0.0
    for seconds in times:
        asked, worker = heapq.heappop(ready)  # the answer that makes room for this lot
        caller_at = max(caller_at, asked) + caller
        free_at[worker] = max(free_at[worker], caller_at) + seconds
        heapq.heappush(ready, (free_at[worker], worker))
    return max(free_at) + caller


def caller_seconds(count: int = 8) -> float:
    """What one picture of 512 x 512 pixels costs the caller besides Ray: writing it."""
    picture, settings = torch.from_numpy(draw_face(0, 512).picture), Settings()
    with TemporaryDirectory() as folder:
        begun = time.process_time()
        for number in range(count):
            job = Job(str(number), "A face.", number)
            write_picture(picture, Path(folder) / f"{number}.png", Notes(job, settings, "0", None))
        return (time.process_time() - begun) / count


def toy_seconds(count: int = 12) -> list[float]:
    """A worker's times for the toy's pictures, here, after the models are loaded."""
    backend, settings = LocalBackend(toy_sources()), Settings(64, 64, steps=4, guidance=1.0)
    times = []
    orders = [Order(Job(str(number), "A face.", number), None) for number in range(count + 1)]
    for order in orders:
        begun = time.process_time()
        list(backend.make([order], settings))
        times.append(time.process_time() - begun)
    backend.close()
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=30_000)
    parser.add_argument("--seconds", type=float, help="a worker's mean time for a picture (default: the toy's)")
    parser.add_argument("--start", type=float, default=60.0, help="seconds to load the models (default: 60)")
    parser.add_argument("--caller", type=float, default=0.0066, help="the caller's seconds besides (default: 0.0066)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    writing, toy = caller_seconds(), toy_seconds()
    caller = writing + options.caller
    middle = statistics.median(toy)
    scale = (options.seconds or middle) / statistics.fmean(toy)
    rng = random.Random(0)
    times = [scale * rng.choice(toy) for _ in range(options.pictures)]
    spread = statistics.stdev(toy) / statistics.fmean(toy)
    print(f"The toy's picture takes {middle:.3f} s (deviation {spread:.0%}), writing {1000 * writing:.1f} ms.")
    print(f"With {options.start:g} s to start and {1000 * caller:.1f} ms of the caller for a picture:\n")
    print(f"| workers | hours for {options.pictures:,} pictures of {statistics.fmean(times):.2f} s | of the ideal |")
    print("|---|---|---|")
    for workers in WORKERS:
        seconds = simulated(times, workers, caller, options.start)
        print(f"| {workers} | {seconds / 3600:.2f} | {sum(times) / workers / seconds:.0%} |")


if __name__ == "__main__":
    main()
