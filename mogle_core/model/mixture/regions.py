"""Controls regions through the gate: a strength and a time window for each mask and each further condition."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, tensor

from ...masks.labels import CLASSES, NUM_MASKS
from ..conditions import KINDS

FULL_MASK = "full mask"
REGION_NAMES: tuple[str, ...] = (FULL_MASK, *(c.name for c in CLASSES))
"""Every mask's name, in the order of the 20 masks."""

CONDITION_NAMES: tuple[str, ...] = (*REGION_NAMES, *KINDS)
"""Everything that has a weight in the blend: the masks, then the kinds of further conditions."""


@dataclass(frozen=True)
class Region:
    """Scales one mask's share in the blend: its gate weight times `strength`, renormalised. 0 removes the mask.

    The weight of a further condition is not part of the gate's sum of one, so it is multiplied and no other changes.
    Outside start_percent..end_percent of the sampling the strength is 1.
    """

    name: str
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in CONDITION_NAMES:
            raise ValueError(f"There is no region {self.name!r}; the regions are {', '.join(CONDITION_NAMES)}.")
        if not 0 <= self.strength <= 2:
            raise ValueError(f"The strength of region {self.name!r} is {self.strength}; choose 0 to 2.")
        check_window(self.start_percent, self.end_percent, f"region {self.name!r}")


def check_window(start_percent: float, end_percent: float, owner: str) -> None:
    """Check that 0 <= start <= end <= 1. Raises ValueError otherwise."""
    if not 0 <= start_percent <= end_percent <= 1:
        raise ValueError(
            f"The time window of {owner} runs from {start_percent} to {end_percent}: start_percent must not be "
            "above end_percent, and both lie in 0 to 1."
        )


def strengths(regions: tuple[Region, ...], active: tuple[bool, ...], extra: tuple[str, ...] = ()) -> Tensor | None:
    """The factors (20 + K,) on the gate's weights at one step; (K,) if the masks' are all 1, None if all are.

    active: for each region, whether this step is in its window. Strengths of a region that occurs twice multiply.
    extra: the network's further conditions; one that it lacks has no weight to change.
    """
    names = (*REGION_NAMES, *extra)
    factors = [1.0] * (NUM_MASKS + len(extra))
    for region, on in zip(regions, active, strict=True):
        if on and region.name in names:
            factors[names.index(region.name)] *= region.strength
    if all(factor == 1 for factor in factors):
        return None
    return tensor(factors if any(factor != 1 for factor in factors[:NUM_MASKS]) else factors[NUM_MASKS:])
