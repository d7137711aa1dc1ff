"""`mogle toy build`: makes the whole toy world again from a seed, stage by stage; a stage done is not redone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

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
) -> None:
    """Make the toy world's files in `out`.

    Args:
        work: keeps drawn faces, latents, checkpoints and logs; a stopped build goes on from there.
        device: of the trainings; None is a GPU if there is one.
        stages: which to run, in this order; each needs what those before it left in `work`.
        budget: a factor on all numbers of steps and faces; far below 1 makes nothing but a rehearsal.

    Raises:
        ValueError: an unknown stage.
    """
    for stage in stages:
        if stage not in STAGES:
            raise ValueError(f"There is no stage {stage!r}: choose from {', '.join(STAGES)}.")
    work.mkdir(parents=True, exist_ok=True)
    workshop = Workshop(out, work, seed, device, budget)
    for stage in stages:
        _LOG.info("stage %s", stage)
        STAGES[stage](workshop)
