"""The toy world's benchmark: held-out faces made again from mask and words, and scored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..labels import CLASS_NAMES
from .drawing import IDS
from .faceset import FaceSet
from .judge import describe, parse
from .score import change_ratio, class_scores, frechet, hair_right, mask_score
from .world import World, generate


def remake(
    world: World, faces: FaceSet, masked: bool = True, steps: int = 20, cfg: float = 1.0, batch: int = 20
) -> Tensor:
    """Pictures (N, H, W, 3) uint8 from the faces' captions and, if `masked`, their label maps."""
    pictures = []
    for first in tqdm(range(0, len(faces), batch), desc="faces", leave=False):
        some = slice(first, first + batch)
        ids = torch.from_numpy(faces.ids[some]) if masked else None
        seeds = range(first, first + len(faces.captions[some]))
        pictures.append(generate(world, ids, faces.captions[some], list(seeds), steps, cfg=cfg))
    return torch.cat(pictures)


def measure(
    world: World, faces: FaceSet, masked: bool = True, steps: int = 20, cfg: float = 1.0
) -> dict[str, float]:
    """Mask score, hair colour and Fréchet distance of the remade faces."""
    return score_pictures(world, remake(world, faces, masked, steps, cfg), faces)


def score_pictures(world: World, pictures: Tensor, faces: FaceSet) -> dict[str, float]:
    """Of pictures (N, H, W, 3) uint8 that were to show these faces.

    The hair is looked for where the picture has it: a face without a mask has it elsewhere.
    """
    wanted, drawn = torch.from_numpy(faces.ids), torch.from_numpy(faces.pictures)
    found = parse(world.judge, pictures.to(world.device)).cpu()
    features = (describe(world.judge, part.to(world.device)).cpu() for part in (pictures, drawn))
    return {
        "mask": float(mask_score(found, wanted).mean()),
        "hair": hair_right(pictures, found, [face.hair_colour for face in faces.attributes]),
        "frechet": frechet(*features),
    }


def score_classes(world: World, pictures: Tensor, faces: FaceSet) -> Mapping[str, float]:
    """Mean IoU of each class over the faces that have it."""
    found = parse(world.judge, pictures.to(world.device)).cpu()
    scores = class_scores(found, torch.from_numpy(faces.ids)).nanmean(dim=0)
    return {name: float(score) for name, score in zip(CLASS_NAMES, scores, strict=True)}


def repainted(faces: FaceSet) -> FaceSet:
    """The same faces with the hair's upper edge lowered: its topmost tenth becomes background."""
    ids = faces.ids.copy()
    for own in ids:
        rows = np.flatnonzero((own == IDS["hair"]).any(axis=1))
        if len(rows):
            top = own[rows[0] : rows[0] + max(3, len(rows) // 5)]
            top[top == IDS["hair"]] = IDS["background"]
    return FaceSet(ids, faces.pictures, faces.captions, faces.attributes)


def local_change(world: World, faces: FaceSet, steps: int = 20, cfg: float = 1.0) -> float:
    """How much more a picture changes inside a repainted region than outside it: the median of the faces."""
    changed = repainted(faces)
    before = remake(world, faces, steps=steps, cfg=cfg)
    after = remake(world, changed, steps=steps, cfg=cfg)
    where = torch.from_numpy(faces.ids != changed.ids)
    ratios = [change_ratio(*each) for each in zip(before, after, where, strict=True) if each[2].any()]
    return float(torch.tensor(ratios).median())

