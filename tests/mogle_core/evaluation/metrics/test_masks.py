"""Mask scores of a set: hand-made maps, and a parser that reads the mask from the colours of the image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mogle_core.evaluation.metrics.masks import mask_scores
from mogle_core.masks.decouple import colours, decode_tensor
from mogle_core.masks.labels import CLASS_NAMES

HAIR = CLASS_NAMES.index("hair")


class ReadsThePalette:
    """A parser that returns exactly what is painted in palette colours."""

    module = nn.Identity()

    def __call__(self, pictures: Tensor) -> Tensor:
        return decode_tensor(pictures).ids


def painted(ids: Tensor) -> Tensor:
    return (colours(ids[None])[0] * 255).to(torch.uint8)


def square(left: int, side: int = 20) -> Tensor:
    ids = torch.zeros(64, 64, dtype=torch.uint8)
    ids[10 : 10 + side, left : left + side] = HAIR
    return ids


def test_hand_made_maps() -> None:
    wanted = [square(10), square(10), torch.zeros(64, 64, dtype=torch.uint8)]
    found = [square(10), square(20), torch.zeros(64, 64, dtype=torch.uint8)]
    kept = mask_scores(ReadsThePalette(), zip(map(painted, found), wanted, strict=True))
    assert kept.ious[:2, HAIR].tolist() == pytest.approx([1, 1 / 3])
    assert kept.ious[2, HAIR].isnan(), "a class in neither map is in no mean"
    assert kept.mean_ious[2].item() == 1
    assert kept.accuracy.tolist() == pytest.approx([1, 1 - 400 / 4096, 1])


def test_pictures_and_masks_of_other_sizes() -> None:
    small = square(10)[::2, ::2]
    kept = mask_scores(ReadsThePalette(), [(painted(square(10)), small), (painted(small), square(10))])
    assert kept.accuracy.tolist() == [1, 1]
