"""Guessing whose class ids a label map holds: by which label space it looks most like a face.

An id map does not say which parser made it. Read in the wrong space, mouths lie above noses and eyes touch
the frame; each such relation of the classes speaks for or against a space. Left and right never decide:
the spaces disagree on them, and a mirrored face is as good a face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .labels import LABEL_SPACES, NUM_CLASSES
from .parts import (
    BROWS,
    CLOTHING,
    EARS,
    EYES,
    GLASSES,
    HAIR,
    HAT,
    INNER_MOUTH,
    LOWER_LIP,
    MOUTH,
    NECK,
    NOSE,
    SKIN,
    UPPER_LIP,
    Part,
)

MARGIN = 3.0
"""How much more evidence than CelebAMask-HQ another space needs: about three relations out of thirty."""

PLAUSIBLE = 0.8
"""The share of its relations that another space must keep: faces keep over nine in ten, noise does not."""

_ABOVE: tuple[tuple[Part, Part], ...] = (
    (BROWS, EYES),
    (BROWS, NOSE),
    (EYES, NOSE),
    (EYES, MOUTH),
    (GLASSES, NOSE),
    (NOSE, UPPER_LIP),
    (NOSE, LOWER_LIP),
    (NOSE, INNER_MOUTH),
    (UPPER_LIP, LOWER_LIP),
    (UPPER_LIP, INNER_MOUTH),
    (INNER_MOUTH, LOWER_LIP),
    (MOUTH, NECK),
    (SKIN, NECK),
    (SKIN, CLOTHING),
    (NECK, CLOTHING),
    (HAIR, NECK),
    (HAIR, CLOTHING),
    (HAT, SKIN),
)
# Against the skin, of which a feature is less than a quarter.
_SMALL: tuple[tuple[Part, Part], ...] = tuple((SKIN, feature) for feature in (NOSE, EYES, BROWS, MOUTH, EARS, GLASSES))
_SURROUNDED: tuple[tuple[Part, Part], ...] = (
    (NOSE, SKIN + GLASSES),
    (EYES, SKIN + BROWS + GLASSES + HAIR),
    (BROWS, SKIN + EYES + GLASSES + HAIR),
    (UPPER_LIP, SKIN + INNER_MOUTH + LOWER_LIP),
    (LOWER_LIP, SKIN + INNER_MOUTH + UPPER_LIP),
    (INNER_MOUTH, UPPER_LIP + LOWER_LIP),
)
_ADJOINING: tuple[tuple[Part, Part], ...] = ((HAIR, SKIN), (NECK, SKIN), (HAT, HAIR + SKIN))
_PAIRS: tuple[tuple[Part, Part], ...] = tuple(((left,), (right,)) for left, right in (EYES, BROWS, EARS))
_INSIDE_FRAME = (NOSE, EYES, BROWS, MOUTH)


@dataclass(frozen=True)
class Layout:
    """What the relations are read from, per class of n: areas, summed rows, pixels at the frame, contacts.

    `contact` (n, n) counts the neighbouring pixels of each two different classes; `size` is the square root
    of the drawn area in pixels, by which heights are measured.
    """

    area: Tensor
    rows: Tensor
    frame: Tensor
    contact: Tensor
    size: float

    def renamed(self, table: tuple[int, ...]) -> Layout:
        """The layout in CelebAMask-HQ's classes, for source ids that mean `table`'s."""
        n = len(self.area)
        rename = torch.nn.functional.one_hot(torch.tensor(table[:n]), NUM_CLASSES).double()  # (n, 19)
        contact = (rename.T @ self.contact @ rename).fill_diagonal_(0)
        return Layout(self.area @ rename, self.rows @ rename, self.frame @ rename, contact, self.size)

    def pixels(self, part: Part) -> float:
        return self.area[list(part)].sum().item()

    def height(self, part: Part) -> float:
        """The part's mean row, from the top, in units of the drawn size."""
        return self.rows[list(part)].sum().item() / self.pixels(part) / self.size

    def share_of_outline(self, part: Part, ring: Part) -> float:
        """How much of the part's contact with other classes is with `ring`."""
        contact = self.contact[list(part)].clone()
        contact[:, list(part)] = 0
        return (contact[:, list(ring)].sum() / contact.sum().clamp_min(1)).item()


def layout(raw: Tensor) -> Layout:
    """The layout of raw ids (B, H, W), int64 from 0; a batch is read as one, since one parser made it."""
    raw = raw.detach().cpu()
    n = int(raw.max()) + 1
    area = _count(raw, n)
    row = torch.arange(raw.shape[1], dtype=torch.float64)[:, None].expand(raw.shape)
    rows = torch.bincount(raw.flatten(), row.flatten(), minlength=n)
    frame = _count(raw[:, [0, -1]], n) + _count(raw[:, :, [0, -1]], n)
    across = _count(raw[:, :, 1:] * n + raw[:, :, :-1], n * n)
    contact = (across + _count(raw[:, 1:] * n + raw[:, :-1], n * n)).view(n, n)
    size = (area[1:].sum() / len(raw)).sqrt().item()
    return Layout(area, rows, frame, (contact + contact.T).fill_diagonal_(0), size)


def _count(ids: Tensor, n: int) -> Tensor:
    return torch.bincount(ids.flatten(), minlength=n).double()


def evidence(face: Layout) -> list[float]:
    """For each relation of classes that are there, from -1 (broken) to 1 (kept). `face` is of 19 classes."""

    def present(relations: tuple[tuple[Part, Part], ...]) -> list[tuple[Part, Part]]:
        return [(a, b) for a, b in relations if face.pixels(a) and face.pixels(b)]

    return [
        *(_clear((face.height(lower) - face.height(upper)) / 0.03) for upper, lower in present(_ABOVE)),
        *(_clear(math.log2(face.pixels(skin) / face.pixels(part) / 4)) for skin, part in present(_SMALL)),
        *(2 * face.share_of_outline(part, ring) - 1 for part, ring in present(_SURROUNDED)),
        *(1.0 if face.share_of_outline(a, b) > 0.01 else -1.0 for a, b in present(_ADJOINING)),
        *(_alike(face, left, right) for left, right in present(_PAIRS)),
        *(-1.0 for part in _INSIDE_FRAME if face.frame[list(part)].any()),
    ]


def _clear(amount: float) -> float:
    return max(-1.0, min(1.0, amount))


def _alike(face: Layout, one: Part, other: Part) -> float:
    """A pair's parts have about one size and one height; a turned head makes up to a few times of it."""
    size = abs(math.log2(face.pixels(one) / face.pixels(other))) / 3
    height = abs(face.height(one) - face.height(other)) / 0.15
    return _clear(1 - max(size, height))


def likeliest_space(raw: Tensor) -> str:
    """The label space in which raw ids (B, H, W), int64 in 0..18, look most like a face.

    "celebamask" unless another space is plausible by itself and ahead by MARGIN: a few plain regions
    fit many spaces.
    """
    seen = layout(raw)
    fits = {
        space: evidence(seen.renamed(table)) for space, table in LABEL_SPACES.items() if len(table) >= len(seen.area)
    }
    best = max(fits, key=lambda space: sum(fits[space]))
    # That it would make an odd face in CelebAMask-HQ's classes is in itself no sign of another space.
    ahead = sum(fits[best]) - max(0.0, sum(fits["celebamask"]))
    plausible = sum(fits[best]) >= PLAUSIBLE * len(fits[best])
    return best if ahead >= MARGIN and plausible else "celebamask"
