"""A static mask stream: its keys from a pass of the mask tokens alone, and a store that keeps them beyond a run.

A checkpoint whose mask tokens see only each other, whose gate is blind to noise and time, and whose vector is blind to
the text has the same keys at every step, with every prompt and seed. They are computed once for each mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from . import apart
from .attention import Attend
from .condition import MaskCondition
from .kept_keys import Kept
from .mask_stream import open_stream
from .mask_tokens import Grid
from .transformer import Transformer, blocks_of

SETS = 4
"""A store holds the keys of this many masks and evicts the least recently used. One run may need more at a time."""


def compute_keys(
    transformer: Transformer,
    mask: MaskCondition,
    positions: Tensor,
    picture: Grid,
    rotary: Callable[[Tensor], Tensor],
    attend: Callable[[Any], Attend],
    keep: Kept,
) -> None:
    """Store every block's keys of a static mask stream in `keep`, by a pass of the mask tokens alone.

    Args:
        mask: its tokens and modulations. positions: the image tokens' ids (B, N, axes), on the grid `picture`.
        rotary: their embedding, by the host. attend: the host's attention in a block.
    """
    stream = open_stream(transformer, replace(mask, keep=keep), positions, picture, rotary)
    blocks = list(blocks_of(transformer).items())
    for name, block in blocks:
        double = name.startswith("double")
        heads, fused = (
            (apart.double_heads(block, name, stream), None) if double else apart.single_heads(block, name, stream)
        )
        q, k, v = heads
        stream.keys(name, k, v, 0)
        if name == blocks[-1][0]:
            break  # no block follows, so the tokens themselves are not needed
        bias = None if mask.merged is None else mask.merged.row(q)
        attention = attend(block)(q, k, v, stream.given.rotary, bias)
        if fused is None:
            apart.double_update(block, name, stream, attention)
        else:
            apart.single_update(block, name, stream, attention, fused)


@dataclass
class StaticKeys:
    """The keys of the masks used last, by what they depend on. It may be emptied at any time.

    made: how often keys were computed.
    """

    most: int = SETS
    made: int = 0
    _sets: dict[Hashable, Kept] = field(default_factory=dict)

    def get(self, key: Hashable, compute: Callable[[], Kept], needed: Collection[Hashable] = ()) -> Kept:
        """The set stored under `key`, computed if there is none. needed: sets that must not be evicted."""
        kept = self._sets.pop(key, None)
        if kept is None:
            self.shrink(self.most - 1, needed)
            kept = compute()
            self.made += 1
        self._sets[key] = kept
        return kept

    def shrink(self, most: int, needed: Collection[Hashable] = ()) -> None:
        """Evict sets until at most `most` are left, or only needed ones."""
        while len(self._sets) > most and self.evict_oldest(needed):
            pass

    def evict_oldest(self, needed: Collection[Hashable] = ()) -> bool:
        """Evict the least recently used set that is not needed. Returns False if there is none."""
        for key in self._sets:
            if key not in needed:
                del self._sets[key]
                return True
        return False

    def __contains__(self, key: Hashable) -> bool:
        return key in self._sets

    def drop(self) -> None:
        """Give all keys up; a pass that is under way still holds the set that it uses."""
        self._sets = {}

    def sets(self) -> list[Kept]:
        return list(self._sets.values())


def digest(tensors: Iterable[Tensor]) -> str:
    """A fingerprint of tensors: their shapes, dtypes and bytes. Waits for the device."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
