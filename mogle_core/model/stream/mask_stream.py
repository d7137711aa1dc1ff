"""The third stream in one forward pass: the mask's inputs to all blocks, and the state between two blocks.

Image and mask tokens go through each shared Linear in one call, as one tensor [image | mask], so that a weight is
moved or dequantised once. Between two blocks the host holds a view of the image part. Tokens are only copied if the
host does not pass that view on unchanged.

A pass that reuses the mask's keys of an earlier one has no mask tokens. Its blocks run like the host's, but also
attend to those keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .attention import ByStream, StreamOptions, who_sees_whom
from .condition import MaskCondition
from .kept_keys import Kept
from .lora import LowRank
from .mask_tokens import Grid, embed_tokens, spread_positions
from .merged_tokens import Merged
from .region_text import RegionText
from .transformer import Transformer


@dataclass(frozen=True)
class MaskInputs:
    """The mask's inputs to all blocks of a pass. Blocks do not change them.

    modulations: for each block's modulation Linear, its output (B, 1, 6H or 3H) for the mask tokens.
    rotary: (B, 1, M, D/2, 2, 2), the mask tokens' rotary embedding.
    texts: the regions' texts, which are the last of the host's text tokens.
    separate_calls, absent, keep, reuse, merged: as in `MaskCondition`; M counts the merged tokens.
    """

    modulations: Mapping[str, Tensor]
    rotary: Tensor
    lora: Mapping[str, LowRank] = field(default_factory=dict)
    options: StreamOptions = field(default_factory=StreamOptions)
    separate_calls: bool = False
    texts: tuple[RegionText, ...] = ()
    absent: Tensor | None = None
    keep: Kept | None = None
    reuse: Kept | None = None
    merged: Merged | None = None

    def modulation(self, layer: str, chunks: int) -> tuple[Tensor, ...]:
        return self.modulations[layer].chunk(chunks, dim=-1)


@dataclass
class MaskStream:
    """The mask stream of one forward pass, from before the first block until after the last.

    tokens: (B, M, H), the mask tokens after the last visited block; (B, 0, H) in a pass that reuses keys.
    text: how many text tokens the host has, including the regions'; double blocks get this from their input.
    blocks: how many blocks have been visited.
    """

    tokens: Tensor
    given: MaskInputs
    text: int = 0
    blocks: int = 0
    # Around what is made in one block and used in others: a host that records each block's memory must know of it.
    outliving: Callable[[], AbstractContextManager[Any]] = nullcontext
    # The last block's result: [others | mask], and the host's part of it.
    _joint: Tensor | None = None
    _handed_out: Tensor | None = None
    # The host passes the same embedding and mask to every block, so they are extended once.
    _rotary: tuple[Tensor, Tensor] | None = None
    _sights: dict[tuple[int, float], tuple[Tensor | None, Tensor | ByStream | None]] = field(default_factory=dict)

    @property
    def running(self) -> MaskStream | None:
        """This stream if it has tokens for a block; None if the pass reuses keys."""
        return self if self.given.reuse is None else None

    def join(self, others: Tensor) -> Tensor:
        """The host's tokens (B, N, H) and the mask's as one tensor (B, N + M, H)."""
        if self._joint is None or others is not self._handed_out:
            joint = torch.cat((others, self.tokens), dim=1)
            self.part(joint, others.shape[1])  # releases the last block's result
            return joint
        return self._joint

    def part(self, joint: Tensor, others: int) -> Tensor:
        """Store a block's result (B, N + M, H); return the host's part, a view (B, N, H)."""
        self._joint, self._handed_out = joint, joint[:, :others]
        self.tokens = joint[:, others:]
        return self._handed_out

    def move(self, tokens: Tensor) -> None:
        """Take tokens (B, M, H) that were updated separately from the host's; the next block joins them again."""
        self._joint = self._handed_out = None
        self.tokens = tokens

    def resumed(self, joint: Tensor, others: int) -> tuple[MaskStream, Tensor]:
        """A stream that continues from `joint` (B, N + M, H) while this one stays as it is, and the host's view."""
        stream = replace(self)
        return stream, stream.part(joint, others)

    def whole(self, others: Tensor) -> Tensor:
        """A block's result followed by the mask tokens, or alone after the last block, which leaves none."""
        return others if self._joint is None or others is not self._handed_out else self._joint

    def extend_rotary(self, rotary: Tensor | None) -> Tensor | None:
        """The host's embedding followed by the mask tokens'; None (no positions) stays None."""
        if rotary is None:
            return None
        if self._rotary is None or self._rotary[0] is not rotary:
            masks = self.given.rotary
            with self.outliving():
                batch = max(len(rotary), len(masks))
                both = (each.expand(batch, *each.shape[1:]) for each in (rotary, masks.to(rotary)))
                extended = torch.cat(tuple(both), dim=2)
            self._rotary = (rotary, extended)
        return self._rotary[1]

    def extend_mask(self, block: str, mask: Tensor | None, like: Tensor, others: int) -> Tensor | ByStream | None:
        """The host's attention mask in one block, with the mask tokens and these options; None if none is needed."""
        options = self.given.options.within(block)
        key = (others, options.strength)
        if key not in self._sights or self._sights[key][0] is not mask:
            given, count = self.given, self.given.rotary.shape[2]
            bias = None if given.merged is None else given.merged.row(like)
            with self.outliving():
                sights = who_sees_whom(mask, others, count, options, like, given.texts, self.text, given.absent, bias)
            self._sights[key] = (mask, sights)
        return self._sights[key][1]

    def keys(self, block: str, k: Tensor, v: Tensor, others: int) -> tuple[Tensor, Tensor]:
        """A block's keys and values (B, heads, S, D), including the mask's from this pass or an earlier one."""
        self.blocks += 1
        if self.given.reuse is not None:
            # Keys of one mask serve a batch of pictures with it.
            mask_k, mask_v = (part.expand(len(k), -1, -1, -1) for part in self.given.reuse[block])
            return torch.cat((k, mask_k), dim=2), torch.cat((v, mask_v), dim=2)
        if self.given.keep is not None:
            with self.outliving():
                self.given.keep[block] = (k[:, :, others:].clone(), v[:, :, others:].clone())
        return k, v


def open_stream(
    transformer: Transformer,
    mask: MaskCondition,
    positions: Tensor,
    grid: Grid,
    rotary: Callable[[Tensor], Tensor],
    text: int = 0,
) -> MaskStream:
    """The mask stream at the start of a pass.

    Args:
        mask: must have modulations, unless it reuses keys.
        positions: the image tokens' ids (B, N, axes), on `grid`. rotary: their embedding, by the host.
        text: how many tokens are text.
    """
    positions = spread_positions(positions, grid, mask.grid)
    if mask.merged is not None:
        positions = mask.merged.take(positions.float())  # a host's ids may be in the model's dtype
    if mask.reuse is None:
        tokens = mask.tokens if mask.merged is None else mask.merged.take(mask.tokens)
        tokens = embed_tokens(transformer, tokens, mask.lora)
    else:
        tokens = mask.tokens.new_empty(len(mask.tokens), 0, transformer.params.hidden_size)
    given = MaskInputs(
        modulations=mask.modulations or {},
        rotary=rotary(positions),
        lora=mask.lora,
        options=mask.options,
        separate_calls=mask.separate_calls,
        texts=mask.texts,
        absent=mask.absent,
        keep=mask.keep,
        reuse=mask.reuse,
        merged=mask.merged,
    )
    return MaskStream(tokens, given, text)
