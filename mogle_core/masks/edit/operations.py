"""The entry point of editing: applies an operation by its name to every label map of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from ..decode import MaskError
from ..decouple import Decoupled
from ..labels import FLIPPED
from .accessories import EARRINGS, HATS, LENSES, add_earrings, add_glasses, add_hat
from .classes import Ids, check_unlocked, class_id, class_ids, protected
from .fill import remove
from .morphology import grow, shrink, smooth
from .move import mirror, move, rotate, scale
from .relabel import replace, swap_sides

ALL = "all"
"""The region that is the whole map."""

STYLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"add hat": tuple(HATS), "add glasses": tuple(LENSES), "add earrings": tuple(EARRINGS)}
)
"""The styles of each accessory, the default first."""

_ADDED = MappingProxyType({"add hat": "hat", "add glasses": "eye_g", "add earrings": "ear_r"})


def edit(
    ids: Tensor,
    operation: str,
    region: str = ALL,
    *,
    amount: float = 0,
    dx: int = 0,
    dy: int = 0,
    replacement: str = "background",
    style: str = "",
    locked: str = "",
) -> Tensor:
    """Apply one of `OPERATIONS` to each of the label maps (B, H, W) of CelebAMask-HQ ids.

    Args:
        region: a class's name; "all", the whole map, for move, scale, rotate, mirror, swap left/right and
            smooth. The accessories need none.
        amount: pixels for grow, shrink and smooth, percent for scale, degrees clockwise for rotate; 0 changes
            nothing.
        dx: for move, pixels to the right.
        dy: for move, pixels down.
        replacement: for replace by, the new class.
        style: for an accessory, one of `STYLES`; empty for the first.
        locked: classes, in a comma-separated list, that neither lose nor gain a pixel.

    Raises:
        MaskError: for ids that are not label maps, an unknown name, an amount that the operation cannot
            use, a class to be changed that is locked, a map of nothing but the region to be removed, and a map
            without the eyes or ears that an accessory is fitted to.
    """
    order = Edit(
        operation=operation,
        region=None if region == ALL else class_id(region),
        amount=amount,
        dx=dx,
        dy=dy,
        replacement=class_id(replacement),
        style=style or STYLES.get(operation, ("",))[0],
        locked=class_ids(locked),
    )
    maps = Decoupled(ids).ids
    return torch.from_numpy(np.stack([order.apply(item) for item in maps.cpu().numpy()])).to(ids.device)


@dataclass(frozen=True)
class Edit:
    """An operation with its parameters (see `edit`); `region` None is the whole map."""

    operation: str
    region: int | None
    amount: float
    dx: int
    dy: int
    replacement: int
    style: str
    locked: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise MaskError(f"There is no operation {self.operation!r}; there are {', '.join(OPERATIONS)}.")
        styles = STYLES.get(self.operation, ("",))
        if self.style not in styles:
            known = f"choose {' or '.join(styles)}" if styles != ("",) else "it has none"
            raise MaskError(f"There is no style {self.style!r} of {self.operation}: {known}.")
        check_unlocked(self.changed, self.locked)

    @property
    def target(self) -> int:
        """The region of an operation that cannot take the whole map."""
        if self.region is None:
            raise MaskError(f"{self.operation.capitalize()} works on one class: choose a region instead of all.")
        return self.region

    @property
    def changed(self) -> list[int]:
        """The classes that the operation changes by name."""
        if self.operation in _ADDED:
            return [class_id(_ADDED[self.operation])]
        if self.region is None:
            return []
        more = {"replace by": [self.replacement], "swap left/right": [FLIPPED[self.region]]}
        return [self.region, *more.get(self.operation, [])]

    def apply(self, ids: Ids) -> Ids:
        """The edited map (H, W). A map without the region stays as it is."""
        absent = self.region is not None and not (ids == self.region).any()
        if absent and self.operation not in (*_ADDED, "swap left/right"):
            return ids
        return protected(ids, OPERATIONS[self.operation](ids, self), self.locked)


OPERATIONS: Mapping[str, Callable[[Ids, Edit], Ids]] = MappingProxyType(
    {
        "grow": lambda ids, e: grow(ids, e.target, e.amount, e.locked),
        "shrink": lambda ids, e: shrink(ids, e.target, e.amount, e.locked),
        "move": lambda ids, e: move(ids, e.region, e.dx, e.dy, e.locked),
        "scale": lambda ids, e: scale(ids, e.region, e.amount, e.locked),
        "rotate": lambda ids, e: rotate(ids, e.region, e.amount, e.locked),
        "mirror": lambda ids, e: mirror(ids, e.region, e.locked),
        "swap left/right": lambda ids, e: swap_sides(ids, e.region),
        "replace by": lambda ids, e: replace(ids, e.target, e.replacement),
        "remove": lambda ids, e: remove(ids, e.target, e.locked),
        "smooth": lambda ids, e: smooth(ids, e.region, e.amount),
        "add hat": lambda ids, e: add_hat(ids, e.style),
        "add glasses": lambda ids, e: add_glasses(ids, e.style),
        "add earrings": lambda ids, e: add_earrings(ids, e.style),
    }
)
"""The operations by their names in the node's list."""
