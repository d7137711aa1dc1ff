"""`mogle toy build`: makes the whole toy world from a seed, stage by stage. Finished stages are skipped.

Under `torchrun --nproc-per-node 2 -m mogle_core.cli toy build …` the trainings run data-parallel: each process
takes a batch of the stated size. On a CPU two processes are quicker than two threads.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from .stages import STAGES, Workshop

__all__ = ["STAGES", "build"]

_LOG = logging.getLogger(__name__)


def build(
    out: Path,
    work: Path,
    seed: int = 0,
    device: str | None = None,
    stages: Sequence[str] = tuple(STAGES),
    budget: float = 1.0,
    compiled: bool = False,
) -> None:
    """Make the toy world's files in `out`.

    Args:
        work: the folder of drawn faces, latents, checkpoints and logs; an interrupted build resumes from it.
        device: where the trainings run; None takes a GPU if there is one.
        stages: which stages to run, in this order; each needs what the earlier ones left in `work`.
        budget: a factor on all numbers of steps and faces; far below 1 the build is only a rehearsal.
        compiled: whether the transformer trains under torch.compile, which is nearly twice as fast and needs a C++
            compiler.

    Raises:
        ValueError: an unknown stage.
    """
    for name in stages:
        if name not in STAGES:
            raise ValueError(f"There is no stage {name!r}: choose from {', '.join(STAGES)}.")
    work.mkdir(parents=True, exist_ok=True)
    several = "WORLD_SIZE" in os.environ
    if several:
        # One process draws and encodes alone, which takes longer than the default timeout of half an hour.
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=timedelta(hours=12))
    workshop = Workshop(out, work, seed, device, budget, compiled)
    for name in stages:
        stage = STAGES[name]
        if workshop.first or not stage.alone:
            _LOG.info("stage %s", name)
            stage.run(workshop)
        if several:
            dist.barrier()
