"""The kernel distance is unbiased, agrees with torchmetrics, and depends only on the seed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from mogle_core.evaluation.metrics.kernel import kernel_distance, squared_mmd


def drawn(count: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)) + shift


def test_equal_distributions_are_0_in_the_mean_of_50_draws() -> None:
    """A biased estimate lies more than 4 standard errors away, as the test shows."""
    found = torch.stack([squared_mmd(drawn(100, 2 * i), drawn(100, 2 * i + 1)) for i in range(50)])
    error = found.std() / 50**0.5
    assert found.mean().abs() < 4 * error
    assert (found < 0).any()
    biased = found.mean() + 2 * ((drawn(100, 0).square().sum(-1) / 8 + 1) ** 3).mean() / 100
    assert biased > 4 * error


def test_two_points_written_out() -> None:
    """Points 0 and 2 against 1 and 1, one dimension: k(x, y) = (xy + 1)^3."""
    first, second = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])
    assert squared_mmd(first, second).item() == pytest.approx(1 + 8 - 2 * (1 + 27) / 2)


def test_torchmetrics_has_the_same_figure() -> None:
    first, second = drawn(60, 1), drawn(60, 2, shift=0.5)
    identity = nn.Identity()
    identity.num_features = 8
    theirs = KernelInceptionDistance(feature=identity, subsets=3, subset_size=60, normalize=True)
    theirs.set_dtype(torch.float64)
    theirs.update(first.double(), real=True)
    theirs.update(second.double(), real=False)
    mean, deviation = theirs.compute()
    ours = kernel_distance(first, second, subsets=3, subset_size=60)
    assert ours.mean == pytest.approx(mean.item(), abs=1e-6)
    assert ours.deviation == pytest.approx(deviation.item(), abs=1e-6)


def test_subsets_depend_on_the_seed_and_fit_in_the_set() -> None:
    first, second = drawn(50, 1), drawn(30, 2, shift=1)
    once = kernel_distance(first, second, subsets=5, subset_size=20)
    torch.manual_seed(99)
    assert kernel_distance(first, second, subsets=5, subset_size=20) == once
    assert kernel_distance(first, second, subsets=5, subset_size=20, seed=1) != once
    assert once.mean > 0.1
    assert once.deviation > 0
    with pytest.raises(ValueError, match="needs 2 pictures"):
        kernel_distance(first[:1], second)
