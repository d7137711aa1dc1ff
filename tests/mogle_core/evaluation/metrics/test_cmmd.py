"""CMMD equals its closed form."""

from __future__ import annotations

import math

import pytest
import torch

from mogle_core.evaluation.metrics.cmmd import cmmd


def test_two_points_at_right_angles() -> None:
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert cmmd(first, second) == pytest.approx(1000 * (2 - 2 * math.exp(-1 / 100)), abs=1e-3)
    assert cmmd(first, second) == pytest.approx(19.9003, abs=1e-3)


def test_lengths_do_not_matter_and_the_distance_to_itself_is_0() -> None:
    points = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    others = points.roll(1, dims=1)
    assert cmmd(points, 3 * points) == pytest.approx(0, abs=1e-6)
    assert cmmd(points, others) == pytest.approx(cmmd(5 * points, others), abs=1e-6)
    assert cmmd(points, others) == pytest.approx(cmmd(others, points), abs=1e-6)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_and_order_do_not_matter(block: int) -> None:
    generator = torch.Generator().manual_seed(0)
    points, others = torch.randn(23, 6, generator=generator), torch.randn(31, 6, generator=generator)
    assert cmmd(points.flip(0), others, block) == pytest.approx(cmmd(points, others, 64), abs=1e-6)
