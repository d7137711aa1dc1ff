"""How much memory the caller of `mogle generate --cluster` needs for 1,000 and for 50,000 jobs.

    python tests/bench/caller_memory.py                        1,000, 10,000 and 50,000 jobs on two workers
    python tests/bench/caller_memory.py --jobs 1000 --folder /dev/shm

The backend is dry: the workers answer with grey pictures of 32 x 32 pixels and load no models. Everything else is
that of a real run: jobs, digests, Ray, files and manifest. Each number of jobs is a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from mogle_core.generation.backend import Order
from mogle_core.generation.cluster import ClusterBackend
from mogle_core.generation.jobs import Job
from mogle_core.generation.models import toy_sources
from mogle_core.generation.run import Output, generate
from mogle_core.generation.settings import Settings
from mogle_core.support.cluster import Cluster


def dry(*_given: Any) -> Callable[[list[Order]], list[torch.Tensor]]:
    """In a worker: no models."""
    return lambda lot: [torch.full((32, 32, 3), 127, dtype=torch.uint8) for _ in lot]


def run(count: int, folder: Path) -> None:
    jobs = [Job(f"{number:06d}", "A face.", number) for number in range(count)]
    backend = ClusterBackend(Cluster(workers=2, threads=1), toy_sources(), batch=4)
    backend._load = partial(dry)
    before, begun = _peak(), time.monotonic()
    made = sum(outcome.status == "made" for outcome in generate(jobs, Settings(32, 32), backend, Output(folder)))
    seconds = time.monotonic() - begun
    assert made == count
    print(f"| {count:,} | {before / 2**20:.0f} | {_peak() / 2**20:.0f} | {1000 * seconds / count:.1f} |")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--folder", type=Path, help="where the pictures go for the time of the run")
    options = parser.parse_args()
    if len(options.jobs) == 1:
        with TemporaryDirectory(dir=options.folder) as place:
            run(options.jobs[0], Path(place))
    else:
        print("| jobs | MiB before the first picture | MiB at the peak | ms a picture |\n|---|---|---|---|", flush=True)
        for count in options.jobs:
            folder = ["--folder", str(options.folder)] if options.folder else []
            subprocess.run([sys.executable, __file__, "--jobs", str(count), *folder], check=True)
