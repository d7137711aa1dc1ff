"""The Fréchet distance: its closed form, torchmetrics' result, and a stream of samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from mogle_core.support.frechet import Gaussian, frechet_band, frechet_distance


def gaussian(mean: Tensor, covariance: Tensor, count: int = 1000) -> Gaussian:
    return Gaussian(count, mean.double(), covariance.double() * (count - 1))


def drawn(count: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=generator) / width**0.5
    return torch.randn(count, width, generator=generator) @ mix + 0.1 * seed


def test_diagonal_gaussians() -> None:
    first, second = torch.rand(64).double() + 0.1, torch.rand(64).double() + 0.1
    apart = torch.randn(64).double()
    expected = apart.square().sum() + (first.sqrt() - second.sqrt()).square().sum()
    found = frechet_distance(gaussian(torch.zeros(64), first.diag()), gaussian(apart, second.diag()))
    assert found == pytest.approx(expected.item(), abs=1e-6)


def test_a_shift_alone_is_its_square() -> None:
    features, shift = drawn(200, 16, 1).double(), torch.randn(16).double()
    found = frechet_distance(Gaussian.of(features), Gaussian.of(features + shift))
    assert found == pytest.approx(shift.square().sum().item(), abs=1e-6)


def test_a_scale_alone() -> None:
    """s^2 S and S: tr (s - 1)^2 S, where the mean is 0."""
    features = drawn(200, 16, 1).double()
    one = Gaussian.of(features - features.mean(dim=0))
    found = frechet_distance(one, Gaussian(one.count, one.mean, 9 * one.scatter))
    assert found == pytest.approx(4 * one.covariance.trace().item(), abs=1e-6)


def test_fewer_samples_than_dimensions() -> None:
    """Two flat Gaussians in orthogonal directions share nothing. The distance of one to itself is 0."""
    few = torch.zeros(8, 256).double()
    few[:, :6] = drawn(8, 6, 2)
    turned = few.roll(128, dims=1)
    one, other = Gaussian.of(few), Gaussian.of(turned)
    apart = (one.mean - other.mean).square().sum()
    expected = apart + one.covariance.trace() + other.covariance.trace()
    assert frechet_distance(one, other) == pytest.approx(expected.item(), abs=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    random = Gaussian.of(drawn(20, 512, 3))
    assert frechet_distance(random, random) == pytest.approx(0, abs=1e-6)


def test_a_stream_is_the_batch_in_any_order() -> None:
    features, others = drawn(700, 24, 1), drawn(600, 24, 2)
    whole = frechet_distance(Gaussian.of(features, block=700), Gaussian.of(others, block=600))
    for block in (1, 7, 64):
        found = frechet_distance(Gaussian.of(features, block), Gaussian.of(others, block))
        assert found == pytest.approx(whole, abs=1e-6)
    shuffled = features[torch.randperm(700, generator=torch.Generator().manual_seed(0))]
    assert frechet_distance(Gaussian.of(shuffled), Gaussian.of(others)) == pytest.approx(whole, abs=1e-6)


def test_torchmetrics_has_the_same_figure() -> None:
    first, second = drawn(500, 32, 1), drawn(400, 32, 2)
    identity = nn.Identity()
    identity.num_features = 32
    theirs = FrechetInceptionDistance(feature=identity, normalize=True).set_dtype(torch.float64)
    theirs.update(first.double(), real=True)
    theirs.update(second.double(), real=False)
    ours = frechet_distance(Gaussian.of(first), Gaussian.of(second))
    assert ours == pytest.approx(theirs.compute().item(), abs=1e-6)


def test_one_sample_is_refused() -> None:
    one = Gaussian.of(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="needs 2 pictures a set; there are 1 and 1"):
        frechet_distance(one, one)


def test_the_band_is_that_of_new_samples_and_narrows_with_their_number() -> None:
    """The band is 1.96 deviations of the distances of many fresh samples. Four times the samples halve it."""

    def sample(count: int, seed: int) -> Tensor:
        return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))

    shift = torch.tensor([3.0, 0, 0, 0])
    bands = {count: frechet_band(sample(count, 0), sample(count, 1) + shift, 200) for count in (100, 400)}
    distances = [
        frechet_distance(Gaussian.of(sample(100, 2 * n)), Gaussian.of(sample(100, 2 * n + 1) + shift))
        for n in range(200)
    ]
    assert bands[100] == pytest.approx(1.96 * float(torch.tensor(distances).std()), rel=0.35)
    assert bands[400] == pytest.approx(bands[100] / 2, rel=0.3)
    assert frechet_band(sample(100, 0), sample(100, 1), 5) == frechet_band(sample(100, 0), sample(100, 1), 5)
