"""Generating until FID's band is narrow enough: which jobs, how many, and when it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mogle_core.evaluation.until_sure import sampled, until_sure
from mogle_core.generation.jobs import Job

JOBS = [Job(f"{number:04d}", "A face.", number) for number in range(400)]
REAL = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))


class Studio:
    """Makes pictures that are only names, whose features are drawn from the photos' distribution."""

    def __init__(self, broken: frozenset[str] = frozenset()) -> None:
        self.broken, self.portions, self.read = broken, list[int](), list[str]()

    def make(self, jobs: Sequence[Job]) -> Mapping[str, Path]:
        self.portions.append(len(jobs))
        return {job.name: Path(f"{job.name}.png") for job in jobs if job.name not in self.broken}

    def features(self, paths: Sequence[Path]) -> Tensor:
        self.read += [path.stem for path in paths]
        return torch.stack([torch.randn(8, generator=torch.Generator().manual_seed(int(p.stem))) for p in paths])


def test_it_stops_once_the_band_is_narrow_enough() -> None:
    studio = Studio()
    looks = list(until_sure(JOBS, studio.make, studio.features, REAL, 0.5))
    assert [look.count for look in looks] == studio.portions
    assert studio.portions[0] == 64
    assert studio.portions[-1] < 400
    assert all(look.band > 0.5 for look in looks[:-1])
    assert looks[-1].band <= 0.5
    assert len(studio.read) == len(set(studio.read)) == studio.portions[-1]  # each picture is looked at once


def test_without_enough_jobs_it_ends_with_all_of_them() -> None:
    studio = Studio()
    looks = list(until_sure(JOBS, studio.make, studio.features, REAL, 1e-6))
    assert studio.portions == [64, 96, 144, 216, 324, 400]
    assert looks[0].band > looks[-1].band > 1e-6
    again = Studio()
    assert list(until_sure(JOBS, again.make, again.features, REAL, 1e-6)) == looks


def test_the_jobs_are_a_random_sample_that_is_always_the_same() -> None:
    order = sampled(JOBS)
    assert order == sampled(list(reversed(JOBS)))
    assert sorted(order, key=lambda job: job.name) == JOBS
    assert abs(sum(job.seed for job in order[:100]) / 100 - 199.5) < 40  # and not the first hundred, whose mean is 49.5


def test_pictures_that_could_not_be_made_do_not_count() -> None:
    studio = Studio(frozenset(job.name for job in sampled(JOBS)[:10]))
    look = next(until_sure(JOBS, studio.make, studio.features, REAL, 1e-6))
    assert look.count == 54
    none = Studio(frozenset(job.name for job in JOBS))
    with pytest.raises(ValueError, match="0 of 64 could be made"):
        next(until_sure(JOBS, none.make, none.features, REAL, 1.0))
