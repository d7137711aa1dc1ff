"""Generating until FID is known well enough: a growing random sample of the jobs, and a band after each portion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..generation.jobs import Job, seed_of
from ..support.frechet import Gaussian, frechet_band, frechet_distance

FIRST = 64
"""Pictures before the first look at the band."""

GROWTH = 1.5
"""How many times as many there are at the next look: the band narrows with the root of their number."""


@dataclass(frozen=True)
class Look:
    """FID of the first `count` pictures, and half of its 95 % band."""

    count: int
    fid: float
    band: float


def until_sure(
    jobs: Sequence[Job],
    make: Callable[[Sequence[Job]], Mapping[str, Path]],
    features: Callable[[Sequence[Path]], Tensor],
    real: Tensor,
    wanted: float,
    resamples: int = 20,
    first: int = FIRST,
) -> Iterator[Look]:
    """Make portions of the jobs until half of FID's band is at most `wanted`, or until there are no more jobs.

    Args:
        make: makes pictures for some of the jobs, which include those of earlier calls; their files by name.
        features: of pictures, (N, F). real: those of the photos, (M, F).

    Raises:
        ValueError: fewer than two pictures could be made.
    """
    sample, rows, count = sampled(jobs), dict[str, Tensor](), 0
    while count < len(sample):
        count = min(len(sample), max(first, math.ceil(GROWTH * count)))
        files = make(sample[:count])
        if fresh := [name for name in files if name not in rows]:
            rows |= dict(zip(fresh, features([files[name] for name in fresh]), strict=True))
        if len(rows) < 2:
            raise ValueError(f"FID needs 2 pictures, and {len(rows)} of {count} could be made: see the manifest.")
        fake = torch.stack([rows[name] for name in sorted(rows)])
        fid = frechet_distance(Gaussian.of(fake), Gaussian.of(real))
        look = Look(len(fake), fid, frechet_band(fake, real, resamples))
        yield look
        if look.band <= wanted:
            return


def sampled(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in a random order, which is the same at every call: a data set's first pictures may be alike."""
    return sorted(jobs, key=lambda job: seed_of(0, f"sample/{job.name}"))
