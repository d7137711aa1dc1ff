"""Scores of the toy world: does a face follow its mask and caption, and does a repaint leave the rest unchanged?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..masks.labels import IDS, NUM_CLASSES
from ..masks.score import class_ious
from ..support.frechet import Gaussian, frechet_distance
from .drawer.attributes import HAIR_COLOURS


def class_scores(parsed: Tensor, target: Tensor) -> Tensor:
    """IoU of every class, (N, 19), of label maps (N, H, W); NaN for classes that `target` lacks."""
    present = torch.stack([(target == number).any(2).any(1) for number in range(NUM_CLASSES)], dim=1)
    return torch.where(present, class_ious(parsed, target), torch.nan)


def mask_score(parsed: Tensor, target: Tensor) -> Tensor:
    """Mean IoU over the classes that are present in `target`: (N, H, W) twice -> (N,)."""
    return class_scores(parsed, target).nanmean(dim=1)


def hair_colour(picture: Tensor, ids: Tensor) -> str | None:
    """The named colour nearest to the mean of the hair region; None if there is no hair.

    picture: (H, W, 3) uint8. ids: (H, W).
    """
    hair = picture[ids == IDS["hair"]]
    if len(hair) == 0:
        return None
    colours = torch.tensor(list(HAIR_COLOURS.values()), dtype=torch.float32)
    nearest = (colours - hair.float().mean(dim=0)).square().sum(dim=1).argmin()
    return list(HAIR_COLOURS)[int(nearest)]


def hair_right(pictures: Tensor, ids: Tensor, stated: Sequence[str]) -> float:
    """The share of pictures whose hair has the stated colour; pictures with hardly any hair are left out."""
    enough = (ids == IDS["hair"]).sum((1, 2)) >= 0.01 * ids[0].numel()
    judged = [
        hair_colour(picture, own) == colour
        for picture, own, colour, seen in zip(pictures, ids, stated, enough, strict=True)
        if seen
    ]
    return sum(judged) / max(1, len(judged))


def change_ratio(before: Tensor, after: Tensor, repainted: Tensor) -> float:
    """Mean absolute difference inside the repainted region over that outside; pictures (H, W, 3), (H, W) bool."""
    difference = (before.float() - after.float()).abs().mean(dim=-1)
    return float(difference[repainted].mean() / difference[~repainted].mean().clamp_min(1e-6))


def frechet(features: Tensor, reference: Tensor) -> float:
    """The Fréchet distance of two sets of features (N, F), (M, F), as Gaussians."""
    return frechet_distance(Gaussian.of(features), Gaussian.of(reference))
