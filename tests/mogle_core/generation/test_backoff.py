"""Batches become smaller where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from mogle_core.generation.backend import BackendError
from mogle_core.generation.backoff import in_batches


def limited(limit: int, sizes: list[int], bad: int | None = None):
    def make(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if bad in items:
            raise ValueError(f"{bad} cannot be made")
        return [10 * item for item in items]

    return make


def test_batches_are_halved_and_never_grow_again() -> None:
    sizes: list[int] = []
    assert list(in_batches(limited(3, sizes), range(11), 8)) == [10 * item for item in range(11)]
    assert sizes == [8, 4, 2, 2, 2, 2, 2, 1]


def test_one_that_does_not_fit_is_reported_and_the_rest_continues() -> None:
    found = list(in_batches(limited(0, []), range(3), 2))
    assert len(found) == 3
    assert all(isinstance(error, MemoryError) and "--base-dtype fp8" in str(error) for error in found)


def test_one_bad_picture_does_not_fail_its_batch() -> None:
    sizes: list[int] = []
    found = list(in_batches(limited(8, sizes, bad=1), range(6), 3))
    assert [str(each) for each in found] == ["0", "1 cannot be made", "20", "30", "40", "50"]
    assert sizes == [3, 1, 1, 1, 3], "the next batch is whole again"


def test_what_ends_the_run_is_raised() -> None:
    def make(_: Sequence[int]) -> list[int]:
        raise BackendError("no network")

    with pytest.raises(BackendError):
        list(in_batches(make, [1, 2], 2))
