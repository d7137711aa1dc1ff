"""References keep the structure of an image and none of its colours."""

from __future__ import annotations

import torch

from mogle_core.toy.build.references import greys


def pictures() -> torch.Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def chances(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_greys_rise_with_the_brightness() -> None:
    shown = greys(pictures(), chances())
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert torch.equal(shown[:, 0], shown[:, 2])
    for picture, grey in zip(pictures().mean(1).flatten(1), shown[:, 0].flatten(1), strict=True):
        assert (grey[picture.argsort()].diff() >= -1e-6).all()


def test_every_picture_has_a_different_curve() -> None:
    one = pictures()[:1].expand(3, -1, -1, -1)
    shown = greys(one, chances())
    assert not torch.allclose(shown[0], shown[1], atol=0.05)
    assert torch.equal(shown, greys(one, chances()))
    assert not torch.allclose(shown, greys(one, chances(1)), atol=0.05)
