"""Guesses the parser behind a map's class ids: the label space in which the map looks most like a face.

An id map does not say which parser made it. In the wrong space, mouths lie above noses and eyes touch the frame.
Each such relation of classes is evidence for or against a space. Left and right are ignored, because the spaces
disagree on them and a mirrored face is just as plausible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .labels import GUESSED, LABEL_SPACES, NUM_CLASSES
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
"""How much more evidence another space needs than CelebAMask-HQ: about three relations out of thirty."""

PLAUSIBLE = 0.8
"""The share of its relations that must hold in another space: in faces over nine in ten hold, in noise fewer."""

DOUBTFUL = 0.7
"""The share of its relations below which a map is read with a warning.

Of 1,200 right readings of 300 real masks in four spaces none was below 0.72; of the wrong ones (crops, faces upside
down or on their side, other numberings), up to a third were between 0.6 and this limit.
"""

CERTAIN = 0.9
"""From this share on, a space or a turn of the map that is ahead by MARGIN puts the chosen space in doubt.

It did so for none of 1,200 right maps. A map that keeps this share itself is not turned.
"""

NOT_A_FACE = 0.4
"""The share below which CelebAMask-HQ's classes do not make a face: all those 342 wrong readings were below it."""

FAR_AHEAD = 9.0
"""From this lead on, and if CelebAMask-HQ's classes do not make a face, DOUBTFUL is plausible enough."""

MANY = 4
"""With at least this many relations, another space is chosen if it alone makes a face."""

FEW_RELATIONS = 2
FEW_CLASSES = 2
"""Up to this many drawn classes, the space is not guessed."""

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
# compared with the skin; a feature is less than a quarter of it
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
    """The measurements behind the relations, for each of n classes: areas, summed rows, pixels at the frame, contacts.

    `contact` (n, n) counts the neighbouring pixels of each two different classes; `size` is the square root
    of the drawn area in pixels, by which heights are measured.
    """

    area: Tensor
    rows: Tensor
    frame: Tensor
    contact: Tensor
    size: float

    def renamed(self, table: tuple[int, ...]) -> Layout:
        """The layout in CelebAMask-HQ's classes; `table` translates the source ids."""
        n = len(self.area)
        rename = torch.nn.functional.one_hot(torch.tensor(table[:n]), NUM_CLASSES).double()  # (n, 19)
        contact = (rename.T @ self.contact @ rename).fill_diagonal_(0)
        return Layout(self.area @ rename, self.rows @ rename, self.frame @ rename, contact, self.size)

    def pixels(self, part: Part) -> float:
        return self.area[list(part)].sum().item()

    def height(self, part: Part) -> float:
        """The part's mean row from the top, in units of the drawn size."""
        return self.rows[list(part)].sum().item() / self.pixels(part) / self.size

    def share_of_outline(self, part: Part, ring: Part) -> float:
        """How much of the part's contact with other classes is with `ring`."""
        contact = self.contact[list(part)].clone()
        contact[:, list(part)] = 0
        return (contact[:, list(ring)].sum() / contact.sum().clamp_min(1)).item()


def layout(raw: Tensor) -> Layout:
    """The layout of raw ids (B, H, W), int64 from 0. A batch counts as one map, since one parser made it."""
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
    """A value for each relation of classes that are present, from -1 (violated) to 1 (holds). `face` has 19 classes."""

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
    """Whether a pair's parts have about the same size and height; in a turned head the sizes differ a few times."""
    size = abs(math.log2(face.pixels(one) / face.pixels(other))) / 3
    height = abs(face.height(one) - face.height(other)) / 0.15
    return _clear(1 - max(size, height))


def likeliest_space(raw: Tensor) -> str:
    """The label space in which raw ids (B, H, W), int64 in 0..18, look most like a face.

    "celebamask" unless another space is plausible by itself and ahead by MARGIN, because a few plain regions fit
    many spaces. If CelebAMask-HQ's classes do not make a face at all, being plausible is enough, and a space that is
    FAR_AHEAD may be an odd face.
    """
    face = layout(raw)
    fits = _fits(face, GUESSED)
    best = max(fits, key=lambda space: sum(fits[space]))
    # An odd face in CelebAMask-HQ's classes is not by itself evidence for another space.
    lead = sum(fits[best]) - max(0.0, sum(fits["celebamask"]))
    alone = kept(fits["celebamask"]) < NOT_A_FACE and len(fits[best]) >= MANY
    plausible = DOUBTFUL if alone and lead >= FAR_AHEAD else PLAUSIBLE
    return best if kept(fits[best]) >= plausible and (lead >= MARGIN or alone) else "celebamask"


def guess(raw: Tensor) -> str | None:
    """As `likeliest_space`, but None if there are too few classes to choose and the spaces disagree on them."""
    drawn = [number for number in torch.unique(raw).tolist() if number]
    if len(drawn) > FEW_CLASSES:
        return likeliest_space(raw)
    meanings = {tuple(LABEL_SPACES[space][number] for number in drawn) for space in _holding(raw, GUESSED)}
    return "celebamask" if len(meanings) == 1 else None


def kept(relations: Sequence[float]) -> float:
    """The share of relations that hold, or 1 if there are none."""
    return sum(relations) / len(relations) if relations else 1.0


def doubt(raw: Tensor, space: str) -> str | None:
    """Why ids (B, H, W) do not look like a face in `space`, and what else they could be; None if they do."""
    fits = _fits(layout(raw), dict.fromkeys((space, *LABEL_SPACES)))
    relations = fits[space]
    if len(relations) < FEW_RELATIONS:
        return None
    turn = None if kept(relations) >= CERTAIN else _turn(raw, relations)
    if kept(relations) >= DOUBTFUL and turn is None and not any(_beats(other, relations) for other in fits.values()):
        return None
    share = f"{max(0.0, kept(relations)):.0%}".replace("%", " %")
    return (
        f"As {space} the mask keeps only {share} of what a face's classes have in common, such as brows above eyes "
        f"(faces keep over 90 %). {_advice(space, fits, turn)}"
    )


def _beats(other: Sequence[float], relations: Sequence[float]) -> bool:
    return kept(other) >= CERTAIN and sum(other) - max(0.0, sum(relations)) >= MARGIN


def _turn(raw: Tensor, relations: Sequence[float]) -> str | None:
    """How the map has to be turned to be clearly more of a face, in any space; None if it stands upright."""
    turns = {
        "upside down": raw.flip(1),
        "a quarter to the right": raw.rot90(-1, (1, 2)),
        "a quarter to the left": raw.rot90(1, (1, 2)),
    }
    for name, turned in turns.items():
        if any(_beats(other, relations) for other in _fits(layout(turned), LABEL_SPACES).values()):
            return name
    return None


def _advice(space: str, fits: Mapping[str, Sequence[float]], turn: str | None) -> str:
    """What a doubtful map could be instead."""
    if turn is not None:
        return f"Turned {turn} it is a face: turn the mask, and the picture with it."
    shares = {name: kept(values) for name, values in fits.items() if len(values) >= FEW_RELATIONS and name != space}
    likelier = [name for name, share in shares.items() if share >= max(0.7, kept(fits[space]) + 0.1)]
    if likelier:
        likelier.sort(key=lambda name: -shares[name])
        share = f"{shares[likelier[0]]:.0%}".replace("%", " %")
        return f"In {' or '.join(likelier[:3])} it would keep {share}: choose the label space."
    return (
        "No label space that is known fits better. It may be a crop or a mask on its side, or its numbers are "
        "another tool's: look at the preview, and choose the label space or renumber the classes."
    )


def _holding(raw: Tensor, spaces: Iterable[str]) -> list[str]:
    """The spaces that have all the ids."""
    highest = int(raw.max())
    return [space for space in spaces if highest < len(LABEL_SPACES[space])]


def _fits(face: Layout, spaces: Iterable[str]) -> dict[str, list[float]]:
    n = len(face.area)
    return {space: evidence(face.renamed(LABEL_SPACES[space])) for space in spaces if n <= len(LABEL_SPACES[space])}
