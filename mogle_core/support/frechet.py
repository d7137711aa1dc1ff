"""The Fréchet distance of two sets of features, each modelled as a Gaussian (Heusel et al., 2017): FID."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """Mean (F,) and scatter (F, F), the sum of the centred outer products, of `count` features; float64."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor, block: int = 1024) -> Gaussian:
        """Of features (N, F); `block` rows at a time are converted to float64."""
        return reduce(cls.joined, (cls._of_block(rows) for rows in torch.split(features, block)))

    @classmethod
    def _of_block(cls, features: Tensor) -> Gaussian:
        rows = features.double()
        mean = rows.mean(dim=0)
        return cls(len(rows), mean, (rows - mean).T @ (rows - mean))

    def joined(self, other: Gaussian) -> Gaussian:
        """Of both sets together (Chan et al., 1983); equal, up to rounding, to that of all features at once."""
        count = self.count + other.count
        apart = other.mean - self.mean
        spread = torch.outer(apart, apart) * (self.count * other.count / count)
        return Gaussian(count, self.mean + apart * (other.count / count), self.scatter + other.scatter + spread)

    @property
    def covariance(self) -> Tensor:
        return self.scatter / (self.count - 1)


def frechet_band(first: Tensor, second: Tensor, resamples: int, seed: int = 0) -> float:
    """How far the distance of features (N, F) and (M, F) is uncertain: half of a 95 % band, by the bootstrap.

    Both sets are drawn again with replacement, and the band is 1.96 deviations of the distances. It covers the choice
    of pictures, not the bias of the distance, which falls with their number: compare distances of equal numbers.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(features: Tensor) -> Gaussian:
        again = torch.randint(len(features), (len(features),), generator=generator)
        return Gaussian.of(features[again.to(features.device)])

    distances = torch.tensor([frechet_distance(drawn(first), drawn(second)) for _ in range(resamples)])
    return float(1.96 * distances.std())


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2).

    Raises ValueError for fewer than two features in a set.
    """
    if min(first.count, second.count) < 2:
        raise ValueError(f"A Fréchet distance needs 2 pictures a set; there are {first.count} and {second.count}.")
    one, two = first.covariance, second.covariance
    apart = (first.mean - second.mean).square().sum()
    return float(apart + one.trace() + two.trace() - 2 * _shared(one, two))


def _shared(one: Tensor, two: Tensor) -> Tensor:
    """tr (S1 S2)^1/2 as the sum of the singular values of R1' R2, where S = R R'.

    With roots of eigenvalues of S1 S2, the zeros of a set smaller than its feature width, which are exact to 1e-16,
    would contribute 1e-8 each.
    """
    shared: Tensor = torch.linalg.svdvals(_root(one).T @ _root(two)).sum()
    return shared


def _root(covariance: Tensor) -> Tensor:
    """R (F, r) with R R' = S, r its numerical rank."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values.max().clamp_min(0) * len(values) * torch.finfo(values.dtype).eps
    root: Tensor = vectors[:, kept] * values[kept].sqrt()
    return root
