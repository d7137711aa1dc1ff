"""When the mask stream's keys are made anew: at numbered steps, or when the mask tokens have moved."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from .attention import StreamOptions

SCHEDULES = ("even", "dense early", "early, then once", "adaptive")
_BY_ITSELF = ("early, then once", "adaptive")
"""Schedules that do not count steps by `every`."""

DENSE_SHARE = 0.3
"""The first share of the steps, in which the layout is decided: the early schedules refresh at each of them."""

THRESHOLD = 0.1
"""`adaptive`: how far the mask tokens may move, as a fraction of their norm."""


@dataclass(frozen=True)
class Refresh:
    """When the mask stream's keys are made anew.

    every: at each step whose number is a multiple of this; 1 is exact, 0 is once a run.
    schedule: `even`; `dense early`: each of the first steps, then by `every`; `early, then once`: each of the first
        steps, then one set for the rest; `adaptive`: when a picture's mask tokens differ from those that the keys were
        made of by more than `threshold` of their norm. The last two make no use of `every`.
    """

    every: int = 1
    schedule: str = "even"
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        if self.every < 0:
            raise ValueError(
                f"refresh_every is {self.every}: 1 computes the mask at each step, N at every Nth, 0 once a run."
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(f"There is no refresh_schedule {self.schedule!r}: choose {' or '.join(SCHEDULES)}.")

    @property
    def exact(self) -> bool:
        """Whether every step makes its keys, so that none are kept."""
        return self.every == 1 and self.schedule not in _BY_ITSELF

    @property
    def adaptive(self) -> bool:
        return self.schedule == "adaptive"

    def source(self, step: int, steps: int) -> int:
        """The step, of 0 .. steps - 1, whose keys this one uses: its own number where it makes them."""
        first = 0 if self.schedule == "even" else math.ceil(DENSE_SHARE * steps)
        if step < first:
            return step
        once = self.every == 0 or self.schedule == "early, then once"
        return first if once else step - (step - first) % self.every

    def stale(self, made_of: Tensor, tokens: Tensor) -> bool:
        """Whether any picture's mask tokens (B, M, 64) have moved too far since the keys were made."""
        return moved(made_of, tokens) > self.threshold

    def check(self, options: StreamOptions) -> None:
        """Raises ValueError for a checkpoint whose options need the mask tokens themselves at every step."""
        if not self.exact and (options.add_condition_attention or options.latent_lora):
            raise ValueError(
                "This checkpoint was trained with `add_cond_attn` or `latent_lora`, which need the mask tokens at "
                "every step: set refresh_every to 1 and refresh_schedule to even."
            )


def moved(before: Tensor, after: Tensor) -> float:
    """The largest change of any picture's mask tokens (B, M, 64), relative to their norm. Waits for the device."""
    change = (after - before).float().flatten(1).norm(dim=1)
    return float((change / before.float().flatten(1).norm(dim=1).clamp_min(1e-12)).max())
