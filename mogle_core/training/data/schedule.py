"""Chooses the pairs of a step, and the caption and side of each: pure functions of the step's and the sample's number.

This is why a run can resume at any step, and why the cache can be planned before the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from ..config.sections import Data
from .draws import generator


@dataclass(frozen=True)
class Pick:
    """One sample of a step. pair: index in the samples. sample: its number, counted over the whole run."""

    pair: int
    sample: int


@dataclass(frozen=True)
class Choice:
    """The side and caption of a sample: whether it is mirrored, and the caption's number (-1 if the pair has none)."""

    caption: int
    mirrored: bool


def choose(data: Data, seed: int, sample: int, captions: int) -> Choice:
    """The choice of one sample, which depends on its number alone. captions: how many the pair has."""
    rng = generator(seed, "choice", sample)
    mirrored, place = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
    caption = -1 if captions == 0 else 0 if data.pick == "first" else int(place * captions)
    return Choice(caption, data.flip and mirrored < 0.5)


class Schedule:
    """Batches of one grid each, in which every pair occurs equally often.

    Each round over the pairs of a grid is shuffled again. The grids of the steps are shuffled over cycles of as many
    steps as there are pairs. In a cycle a grid has as many steps as it has pairs, so each pair is shown `batch` times.

    Args:
        grids: rows and columns of each pair's tokens, as a sequence or an array (N, 2).
        batch: samples of a step. seed: of all orders.
    """

    def __init__(self, grids: Sequence[tuple[int, int]] | NDArray[np.integer], batch: int, seed: int) -> None:
        if not len(grids) or batch < 1:
            raise ValueError(
                f"A schedule of {len(grids)} pairs in batches of {batch} is empty: both must be at least 1."
            )
        self.batch, self.seed = batch, seed
        _, group = np.unique(np.asarray(grids).reshape(-1, 2), axis=0, return_inverse=True)
        # The pairs sorted by grid, and the start of each grid's pairs.
        self._members: NDArray[np.int64] = np.argsort(group.ravel(), kind="stable")
        self._sizes: NDArray[np.int64] = np.bincount(group.ravel())
        self._starts: NDArray[np.int64] = np.concatenate(([0], np.cumsum(self._sizes)))
        self._order = lru_cache(maxsize=2 * len(self._sizes))(self._round)
        self._cycle = lru_cache(maxsize=2)(self._grids_of_cycle)

    def step(self, number: int) -> tuple[Pick, ...]:
        """The picks of step `number`, counted from 0. They all have one grid."""
        grid, turn = self._place(number)
        size = int(self._sizes[grid])
        picks = []
        for place in range(turn * self.batch, (turn + 1) * self.batch):
            member = self._starts[grid] + self._order(grid, place // size)[place % size]
            sample = number * self.batch + place - turn * self.batch
            picks.append(Pick(int(self._members[member]), sample))
        return tuple(picks)

    def _place(self, number: int) -> tuple[int, int]:
        """The step's grid, and the number of earlier steps with that grid."""
        if len(self._sizes) == 1:
            return 0, number
        cycle, offset = divmod(number, len(self._members))
        grids = self._cycle(cycle)
        grid = int(grids[offset])
        before = int(np.count_nonzero(grids[:offset] == grid))
        return grid, cycle * int(self._sizes[grid]) + before

    def _grids_of_cycle(self, cycle: int) -> NDArray[np.int32]:
        grids = np.repeat(np.arange(len(self._sizes), dtype=np.int32), self._sizes)
        return grids[_permutation(len(grids), self.seed, "grids", cycle)]

    def _round(self, grid: int, number: int) -> NDArray[np.int32]:
        return _permutation(int(self._sizes[grid]), self.seed, f"pairs/{grid}", number)


def _permutation(length: int, seed: int, stream: str, number: int) -> NDArray[np.int32]:
    return torch.randperm(length, generator=generator(seed, stream, number)).numpy().astype(np.int32)
