"""Repairs left and right by position, since parsers that were trained on mirrored pictures mix them up.

The subject's left is on the picture's right of the face's middle. A pair of which both parts are seen far
enough apart is decided by their order, which also holds for a turned head; a single part by the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..masks.labels import CLASSES, PAIRS
from ..masks.parts import BROWS, EYES, MOUTH, NOSE, SKIN, centre, is_part

APART = 0.15
"""The gap, in units of the face's size, from which two pieces are the two parts of a pair."""

MIDDLE = 0.02
"""The distance from the middle, in the same units, below which the side of a single part is undecided."""

BOTH = 0.25
"""The share of a piece on either side of the middle from which it counts as both parts in one."""

_WITHOUT_SIDES = SKIN + NOSE + MOUTH


@dataclass(frozen=True)
class Middle:
    """The face's middle line in a picture: across() is 0 on it and grows towards the picture's right.

    right: unit vector (x, y) across the face. offset: of the line. size: square root of the face's area.
    """

    right: tuple[float, float]
    offset: float
    size: float

    def across(self, x: Tensor, y: Tensor) -> Tensor:
        """Signed distances from the middle, in units of the face's size."""
        return (self.right[0] * x + self.right[1] * y - self.offset) / self.size


@dataclass(frozen=True)
class Part:
    """One connected piece of one class: its pixels' rows, columns and distances from the middle (N,)."""

    id: int
    rows: Tensor
    columns: Tensor
    across: Tensor

    @property
    def place(self) -> float:
        return float(self.across.mean())


def fix_left_right(ids: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Label maps (B, H, W) uint8 with eyes, brows and ears on the right sides, and the undecided parts.

    An undecided part keeps its id and is described in one sentence.
    """
    ids, sentences = ids.clone(), []
    for index, face in enumerate(ids):
        where = f"picture {index + 1}: " if len(ids) > 1 else ""
        middle = find_middle(face)
        for left, right in PAIRS:
            sentences += [where + sentence for sentence in _fix_pair(face, left, right, middle)]
    return ids, tuple(sentences)


def find_middle(ids: Tensor) -> Middle | None:
    """The middle line of the face in ids (H, W), by classes that have no side; None without nose, mouth and skin.

    It follows the direction from the eyes to the mouth, through the mean of nose and mouth. Without those it is
    upright, through the skin.
    """
    eyes, nose, mouth, face = (centre(ids, part) for part in (EYES + BROWS, NOSE, MOUTH, _WITHOUT_SIDES))
    if face is None:
        return None
    through = [place for place in (nose, mouth) if place is not None] or [face]
    x, y = (sum(values) / len(through) for values in zip(*through, strict=True))
    below, above = mouth or nose, eyes or nose
    right = (1.0, 0.0)
    if below is not None and above is not None and below[1] > above[1]:
        down = torch.tensor([below[0] - above[0], below[1] - above[1]], dtype=torch.float64)
        unit = down / down.norm()
        right = (float(unit[1]), -float(unit[0]))
    return Middle(right, right[0] * x + right[1] * y, float(is_part(ids, _WITHOUT_SIDES).sum()) ** 0.5)


def _fix_pair(face: Tensor, left: int, right: int, middle: Middle | None) -> list[str]:
    """Repair one pair in place; return a sentence for each undecided part."""
    present = [number for number in (left, right) if bool((face == number).any())]
    name = CLASSES[left].title.removeprefix("left ")
    if not present:
        return []
    if middle is None:
        return [f"{name}s could not be told left from right: there is neither nose, mouth nor skin beside them."]
    parts = sorted((p for number in present for p in parts_of(face, number, middle)), key=lambda part: part.place)
    border = _border(parts)
    undecided = []
    for part in parts:
        if border is None and abs(part.place) < MIDDLE and not _on_both_sides(part):
            undecided.append(
                f"one {name} of {len(part.rows)} pixels lies on the face's middle and stays {CLASSES[part.id].title}."
            )
            continue
        on_right = _side(part, border)
        face[part.rows, part.columns] = torch.where(on_right, left, right).to(face)
    return undecided


def _border(parts: list[Part]) -> float | None:
    """The border between the two groups of parts of a pair; None if there is only one group."""
    gaps = [(after.place - before.place, before, after) for before, after in zip(parts, parts[1:], strict=False)]
    if not gaps:
        return None
    gap, before, after = max(gaps, key=lambda found: found[0])
    return (before.place + after.place) / 2 if gap >= APART else None


def _on_both_sides(part: Part) -> bool:
    share = float((part.across > 0).double().mean())
    return BOTH <= share <= 1 - BOTH and float(part.across.max() - part.across.min()) >= 2 * APART


def _side(part: Part, border: float | None) -> Tensor:
    """Whether each pixel of the part is on the picture's right. All agree, unless both parts are in one piece."""
    if border is None and _on_both_sides(part):
        return part.across > 0
    return torch.full_like(part.rows, part.place > (border or 0.0), dtype=torch.bool)


def parts_of(ids: Tensor, number: int, middle: Middle) -> list[Part]:
    """The connected pieces of one class in ids (H, W)."""
    rows, columns = (ids == number).nonzero().unbind(1)
    if not len(rows):
        return []
    top, left = int(rows.min()), int(columns.min())
    window = ids[top : int(rows.max()) + 1, left : int(columns.max()) + 1] == number
    labels = components(window)[rows - top, columns - left]
    across = middle.across(columns.double(), rows.double())
    return [
        Part(number, rows[labels == label], columns[labels == label], across[labels == label])
        for label in sorted(set(labels.tolist()))
    ]


def components(region: Tensor) -> Tensor:
    """A bool region (H, W) -> int64 (H, W): one number for each piece connected by sides or corners, else 0."""
    # Imported here because importing it takes longer than the search.
    from scipy.ndimage import label

    numbered, _ = label(region.cpu().numpy(), structure=np.ones((3, 3)))
    return torch.from_numpy(numbered).to(region.device, torch.int64)
