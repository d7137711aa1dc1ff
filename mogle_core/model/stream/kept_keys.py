"""Keys and values of the mask stream that are kept from one step for the following ones (`refresh_every`).

Mask tokens change little from step to step: their time is always 0, and only the gate and what they see of the
picture move them. A step that reuses their keys and values runs the blocks on text and image alone, which still
attend to the mask as it was when the keys were made. Exact at every refreshed step, and no further than that.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

from torch import Tensor

from .attention import StreamOptions

Kept = dict[str, tuple[Tensor, Tensor]]
"""By a block's name, the mask tokens' keys and values (B, heads, M, D), before the rotary embedding."""

SCHEDULES = ("even", "dense early")
DENSE_SHARE = 0.3
"""`dense early` refreshes at each step in this first share of the steps: there the layout is decided."""


@dataclass(frozen=True)
class Refresh:
    """When the mask stream's keys are made anew.

    every: at each step whose number is a multiple of this; 1 is exact.
    schedule: `even`, or `dense early`: each of the first steps, every so many of the others.
    """

    every: int = 1
    schedule: str = "even"

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"refresh_every is {self.every}; it counts steps and starts at 1, which is exact.")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"There is no refresh_schedule {self.schedule!r}: choose {' or '.join(SCHEDULES)}.")

    def source(self, step: int, steps: int) -> int:
        """The step, of 0 .. steps - 1, whose keys this one uses: itself where it makes its own."""
        first = math.ceil(DENSE_SHARE * steps) if self.schedule == "dense early" else 0
        return step if step < first else step - (step - first) % self.every

    def refreshed(self, steps: int) -> int:
        """How many of the steps run with the whole mask stream."""
        return sum(self.source(step, steps) == step for step in range(steps))

    def check(self, options: StreamOptions) -> None:
        """Raises ValueError for a checkpoint whose options need the mask tokens themselves at every step."""
        if self.every > 1 and (options.add_condition_attention or options.latent_lora):
            raise ValueError(
                "This checkpoint was trained with `add_cond_attn` or `latent_lora`, which need the mask tokens at "
                "every step: set refresh_every to 1."
            )


@dataclass
class Reuse:
    """One sampling run's kept keys, by conditioning."""

    refresh: Refresh
    blocks: int  # of the transformer
    _kept: dict[Hashable, tuple[int, Kept]] = field(default_factory=dict)

    def at(self, key: Hashable, step: int, steps: int) -> tuple[Kept | None, Kept | None]:
        """What this pass reuses, and where it is to leave its own keys: one of both or neither.

        Only a set that is whole is reused: a pass that skipped blocks leaves one behind that is not. Other steps'
        sets are given up here, before new ones are made.
        """
        source = self.refresh.source(step, steps)
        self._kept = {owner: found for owner, found in self._kept.items() if found[0] == source}
        if key in self._kept and len(self._kept[key][1]) == self.blocks:
            return self._kept[key][1], None
        if step + 1 >= steps or self.refresh.source(step + 1, steps) != source:
            return None, None
        self._kept[key] = (source, {})
        return None, self._kept[key][1]


def kept_bytes(blocks: int, batch: int, tokens: int, width: int, itemsize: int) -> int:
    """Memory of one conditioning's kept keys and values."""
    return 2 * blocks * batch * tokens * width * itemsize


def nearest(sigma: float, sigmas: list[float]) -> int:
    """The number of the step that is at this sigma: also of those between the steps that some samplers make."""
    return min(range(len(sigmas) - 1), key=lambda step: abs(sigmas[step] - sigma), default=0)
