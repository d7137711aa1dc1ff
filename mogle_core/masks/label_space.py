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

from .labels import CLASSES, LABEL_SPACES, NUM_CLASSES

MARGIN = 3.0
"""How much more evidence than CelebAMask-HQ another space needs: about three relations out of thirty."""

PLAUSIBLE = 0.8
"""The share of its relations that another space must keep: faces keep over nine in ten, noise does not."""

_IDS = {c.name: c.id for c in CLASSES}

Part = tuple[int, ...]


def _part(*names: str) -> Part:
    return tuple(_IDS[name] for name in names)


_SKIN = _part("skin")
_NOSE = _part("nose")
_GLASSES = _part("eye_g")
_HAIR = _part("hair")
_HAT = _part("hat")
_NECK = _part("neck")
_CLOTH = _part("cloth")
_MOUTH = _part("mouth")
_U_LIP = _part("u_lip")
_L_LIP = _part("l_lip")
_EYES, _BROWS, _EARS = _part("l_eye", "r_eye"), _part("l_brow", "r_brow"), _part("l_ear", "r_ear")
_LIPS = _MOUTH + _U_LIP + _L_LIP

_ABOVE: tuple[tuple[Part, Part], ...] = (
    (_BROWS, _EYES),
    (_BROWS, _NOSE),
    (_EYES, _NOSE),
    (_EYES, _LIPS),
    (_GLASSES, _NOSE),
    (_NOSE, _U_LIP),
    (_NOSE, _L_LIP),
    (_NOSE, _MOUTH),
    (_U_LIP, _L_LIP),
    (_U_LIP, _MOUTH),
    (_MOUTH, _L_LIP),
    (_LIPS, _NECK),
    (_SKIN, _NECK),
    (_SKIN, _CLOTH),
    (_NECK, _CLOTH),
    (_HAIR, _NECK),
    (_HAIR, _CLOTH),
    (_HAT, _SKIN),
)
# Against the skin, of which a feature is less than a quarter.
_SMALL: tuple[tuple[Part, Part], ...] = tuple(
    (_SKIN, feature) for feature in (_NOSE, _EYES, _BROWS, _LIPS, _EARS, _GLASSES)
)
_SURROUNDED: tuple[tuple[Part, Part], ...] = (
    (_NOSE, _SKIN + _GLASSES),
    (_EYES, _SKIN + _BROWS + _GLASSES + _HAIR),
    (_BROWS, _SKIN + _EYES + _GLASSES + _HAIR),
    (_U_LIP, _SKIN + _MOUTH + _L_LIP),
    (_L_LIP, _SKIN + _MOUTH + _U_LIP),
    (_MOUTH, _U_LIP + _L_LIP),
)
_ADJOINING: tuple[tuple[Part, Part], ...] = ((_HAIR, _SKIN), (_NECK, _SKIN), (_HAT, _HAIR + _SKIN))
_PAIRS: tuple[tuple[Part, Part], ...] = tuple(((left,), (right,)) for left, right in (_EYES, _BROWS, _EARS))
_INSIDE_FRAME = (_NOSE, _EYES, _BROWS, _LIPS)


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
