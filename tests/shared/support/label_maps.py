"""Label maps for property tests: blocks of a few classes, so that regions have an interior."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from mogle_core.masks.labels import CLASS_NAMES
from mogle_core.toy.drawer.faces import draw_face

classes = st.integers(0, 18)
names = st.sampled_from(CLASS_NAMES)


@st.composite
def label_maps(draw: st.DrawFn, batch: int = 1, side: int = 7) -> Tensor:
    """Up to `batch` maps (B, H, W) uint8 with sides of up to 2 * `side` pixels."""
    held = draw(st.lists(classes, min_size=1, max_size=6))
    shape = tuple(draw(st.integers(1, limit)) for limit in (batch, side, side))
    ids = torch.from_numpy(draw(arrays(np.uint8, shape, elements=st.sampled_from(held))))
    block = draw(st.integers(1, 2))
    return ids.repeat_interleave(block, 1).repeat_interleave(block, 2)


def drawn(*seeds: int, size: int = 96) -> Tensor:
    """Drawn faces (B, size, size)."""
    return torch.from_numpy(np.stack([draw_face(seed, size).ids for seed in seeds]))


def distances(area: Tensor) -> Tensor:
    """The distance of every pixel to the nearest pixel of an area (H, W), pixel by pixel."""
    rows, columns = (torch.arange(side) for side in area.shape)
    places = torch.cartesian_prod(rows, columns).double()
    return torch.cdist(places, area.nonzero().double()).amin(1).view(area.shape)
