"""Measures sketches in the toy world: do held-out faces follow the right sketch, and only that one?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..model.mixture.mask_latents import LatentCache
from ..model.sampling.options import SamplingOptions
from .bench import remake
from .build.latents import through_vae
from .drawer.faceset import FaceSet
from .drawer.sketching import DETAILS, OUTLINES, draw_sketch, exact_lines
from .judge import parse
from .score import mask_score
from .world import DEFAULTS, World

Distance = Callable[[Tensor, Tensor], float]
"""From lines (H, W) uint8 to the edges of a picture (H, W, 3) uint8, in pixels; NaN without lines. The caller passes
it in, because this package may not import the metrics."""


@dataclass(frozen=True)
class Sketched:
    """Held-out faces, their loosely drawn sketches (N, H, W) uint8, and the lines to measure from.

    lines: (N, H, W) uint8 for each name. "details" are all lines that the label map does not show. The names
    after it are the kinds of details.
    """

    faces: FaceSet
    sketches: Tensor
    lines: Mapping[str, Tensor]


def sketched(faces: FaceSet, seeds: Sequence[int], style: int = 0) -> Sketched:
    """The faces of these seeds with their sketches in this style."""
    size = faces.ids.shape[1]
    each = [exact_lines(seed, size) for seed in seeds]
    kinds = {name: torch.from_numpy(np.stack([lines[name] for lines in each])) for name in (OUTLINES, *DETAILS)}
    details = torch.stack([kinds[name] for name in DETAILS]).amax(0)
    everything = torch.maximum(kinds[OUTLINES], details)
    drawn = torch.from_numpy(np.stack([draw_sketch(seed, size, style) for seed in seeds]))
    lines = {"all lines": everything, OUTLINES: kinds[OUTLINES], "details": details, **kinds}
    return Sketched(faces, drawn, lines)


def sketch_rows(
    before: World, world: World, given: Sketched, distance: Distance, options: SamplingOptions = DEFAULTS
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield row by row the mask score, and the distances in pixels from the exact lines to the picture's edges.

    before: the world without a sketch's expert; world: the one with it. Another face's sketch is the next face's.
    """
    faces, right, wrong, cache = given.faces, given.sketches, given.sketches.roll(1, 0), LatentCache()
    for name, drawn in (("the drawn images themselves", faces), ("through the VAE", through_vae(world.vae, faces))):
        yield name, _scores(world, torch.from_numpy(drawn.pictures), given, distance)
    # One cache, so that all rows get the same latents to the bit, whichever masks are encoded together.
    old, new = (partial(remake, each, faces, options=options, cache=cache) for each in (before, world))
    ways: Mapping[str, Callable[[], Tensor]] = {
        "text alone": partial(new, masked=False),
        "sketch and text": partial(new, masked=False, sketches=right),
        "another face's sketch and text": partial(new, masked=False, sketches=wrong),
        "mask and text, weights without sketches": old,
        "mask and text": new,
        "mask, sketch and text": partial(new, sketches=right),
        "mask, another face's sketch and text": partial(new, sketches=wrong),
    }
    for name, make in ways.items():
        yield name, _scores(world, make(), given, distance)


def _scores(world: World, pictures: Tensor, given: Sketched, distance: Distance) -> dict[str, float]:
    parsed = parse(world.judge, pictures.to(world.device)).cpu()
    score = float(mask_score(parsed, torch.from_numpy(given.faces.ids)).mean())
    each = {
        name: torch.tensor([distance(*pair) for pair in zip(lines, pictures, strict=True)])
        for name, lines in given.lines.items()
    }
    # A face without such lines has no distance from them.
    return {"mask score": score, **{name: float(distances.nanmean()) for name, distances in each.items()}}
