"""Decoded masks: class ids, and how the file stored them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import MaskError, percent
from .halves import split_lips, split_sides
from .label_space import doubt
from .labels import CLASS_NAMES, LABEL_SPACES, NUM_CLASSES, ONE_LIP, SIDED_BY_POSITION


class LabelMaps:
    """The common interface of everything that holds label maps `ids` (B, H, W)."""

    ids: Tensor

    @property
    def batch(self) -> int:
        return self.ids.shape[0]

    @property
    def height(self) -> int:
        return self.ids.shape[1]

    @property
    def width(self) -> int:
        return self.ids.shape[2]


@dataclass(frozen=True)
class LabelMap(LabelMaps):
    """Decoded masks: `ids` (B, H, W) uint8 in 0..18, and how they were stored.

    `label_space` is the space they were decoded from, `palette` names the colours if there were any. `snapped` is the
    share of pixels with a colour near a palette colour. `off_palette` is the share of pixels without one; they took
    the class of the nearest pixel that has one.
    """

    ids: Tensor
    label_space: str
    snapped: float = 0.0
    off_palette: float = 0.0
    palette: str | None = None

    def summary(self) -> str:
        """Size, classes by falling share, label space, colours and off-palette share in one line for a log."""
        shares = torch.bincount(self.ids.flatten().long(), minlength=NUM_CLASSES) / self.ids.numel()
        present = [c for c in shares.argsort(descending=True, stable=True).tolist() if shares[c] > 0]
        classes = ", ".join(f"{CLASS_NAMES[c]} {percent(shares[c].item())}" for c in present)
        size = f"{self.width}x{self.height}" + (f" (batch of {self.batch})" if self.batch > 1 else "")
        drawn = f", drawn in {self.palette}" if self.palette else ""
        return (
            f"{size}, {len(present)} of {NUM_CLASSES} classes: {classes}; label space {self.label_space}{drawn}; "
            f"{percent(self.off_palette)} off palette"
        )

    def doubt(self) -> str | None:
        """A sentence if the classes are not arranged like a face's; it says what else they could be."""
        source = {class_id: number for number, class_id in reversed(list(enumerate(LABEL_SPACES[self.label_space])))}
        back = torch.tensor([source.get(class_id, 0) for class_id in range(NUM_CLASSES)], device=self.ids.device)
        return doubt(back[self.ids.long()], self.label_space)


def mapped(raw: Tensor, space: str) -> Tensor:
    """Ids of a label space (B, H, W) as CelebAMask-HQ's, uint8. Raises MaskError for an id that the space lacks."""
    table = LABEL_SPACES[space]
    highest = int(raw.max())
    if highest >= len(table):
        raise MaskError(
            f"The mask holds id {highest}, but label space {space} has {len(table)} ids, 0 to "
            f"{len(table) - 1}. Choose the label space of the parser that made it, or auto."
        )
    ids = torch.tensor(table, dtype=torch.uint8, device=raw.device)[raw.long()]
    if space in ONE_LIP:
        ids = split_lips(ids)
    return split_sides(ids) if space in SIDED_BY_POSITION else ids
