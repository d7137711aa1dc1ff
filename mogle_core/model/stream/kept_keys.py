"""Keys and values of the mask stream that are kept from one step for the following ones.

Mask tokens change little from step to step: their time is always 0, and only the gate and what they see of the
picture move them. A step that reuses their keys and values runs the blocks on text and image alone, which still
attend to the mask as it was when the keys were made. It is exact at every refreshed step, and at no other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from .refresh import Refresh

Keys = tuple[Tensor, Tensor]
"""One block's keys and values of the mask tokens (B, heads, M, D), before the rotary embedding."""


class Kept(Protocol):
    """One pass's keys, by a block's name: a dictionary, or `key_forms.StoredKeys`."""

    def __setitem__(self, block: str, keys: Keys, /) -> None: ...
    def __getitem__(self, block: str, /) -> Keys: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class _Set:
    """One conditioning's keys, the step of the schedule that they belong to, and the mask tokens they were made of."""

    source: int
    keys: Kept
    tokens: Tensor | None


@dataclass
class Reuse:
    """The stored keys of one sampling run, by conditioning.

    blocks: how many the transformer has.
    """

    refresh: Refresh
    blocks: int
    _sets: dict[Hashable, _Set] = field(default_factory=dict)

    def at(
        self,
        key: Hashable,
        step: int,
        steps: int,
        tokens: Tensor | None = None,
        new: Callable[[], Kept] = dict,
    ) -> tuple[Kept | None, Kept | None]:
        """The keys that this pass reuses, and where it stores its keys: one of both, or neither.

        Only complete sets are reused; a pass that skips blocks leaves an incomplete one. Sets of other steps are
        dropped here, before new ones are made. A set that was dropped is made again, as in a refreshed step.

        Args:
            key: the conditioning. step: of 0 .. steps - 1.
            tokens: this step's mask tokens (B, M, 64), where the schedule asks how far they have moved.
            new: makes an empty set.
        """
        if self.refresh.adaptive:
            self._give_up(key, tokens)
            source, last = step, step + 1 >= steps
        else:
            source = self.refresh.source(step, steps)
            self._sets = {owner: kept for owner, kept in self._sets.items() if kept.source == source}
            last = step + 1 >= steps or self.refresh.source(step + 1, steps) != source
        if key in self._sets and len(self._sets[key].keys) == self.blocks:
            return self._sets[key].keys, None
        if last:
            return None, None
        self._sets[key] = _Set(source, new(), tokens)
        return None, self._sets[key].keys

    def drop(self) -> None:
        """Give all keys up; a pass that is under way still holds the set that it uses."""
        self._sets = {}

    def sets(self) -> list[Kept]:
        return [kept.keys for kept in self._sets.values()]

    def _give_up(self, key: Hashable, tokens: Tensor | None) -> None:
        made_of = self._sets[key].tokens if key in self._sets else None
        if tokens is None or made_of is None or self.refresh.stale(made_of, tokens):
            self._sets.pop(key, None)


def kept_bytes(blocks: int, batch: int, tokens: int, width: int, itemsize: int) -> int:
    """The memory of one conditioning's stored keys and values."""
    return 2 * blocks * batch * tokens * width * itemsize


def nearest(sigma: float, sigmas: list[float]) -> int:
    """The step at this sigma; for one between two steps, as some samplers take them, the nearest."""
    return min(range(len(sigmas) - 1), key=lambda step: abs(sigmas[step] - sigma), default=0)
