"""Attention between mask tokens and the others: the host's attention function, and which tokens see which."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .region_text import RegionText, add_bias, make_room, text_bias

Plain = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]
"""Attention without positions: q (B, heads, Q, D), k and v (B, heads, S, D), mask broadcastable to (.., Q, S)
or None -> (B, Q, heads * D)."""

Attend = Callable[[Tensor, Tensor, Tensor, "Tensor | None", "Tensor | ByStream | None"], Tensor]
"""The host's attention: q (B, heads, Q, D), k and v (B, heads, S, D), rotary embedding (B, 1, S, D/2, 2, 2)
or None, mask (.., Q, S), `ByStream` or None -> (B, Q, heads * D). Q <= S: q holds the first Q of the tokens."""


@dataclass(frozen=True)
class StreamOptions:
    """How mask tokens and the others attend to each other. The names are those of the official options.

    union_attention: False separates the mask stream from text and image completely.
    independent_condition: mask tokens see only each other, the others see them.
    add_condition_attention: in double blocks the mask's gated attention is also added to the image.
    latent_lora: the LoRA also acts on the image (and, in single blocks, the text) tokens.
    strength: log(strength) is added to the attention logits between mask and non-mask, both ways.
    double_strength, single_strength: factors on the strength in the blocks of one kind.
    """

    union_attention: bool = True
    independent_condition: bool = False
    add_condition_attention: bool = False
    latent_lora: bool = False
    strength: float = 1.0
    double_strength: float = 1.0
    single_strength: float = 1.0

    def within(self, block: str) -> StreamOptions:
        """The options in a block, by its name (`double_blocks.<n>`), with its kind's factor in the strength."""
        factor = self.double_strength if block.startswith("double_blocks") else self.single_strength
        strength = self.strength if factor == 1 else self.strength * factor
        return replace(self, strength=strength, double_strength=1.0, single_strength=1.0)


@dataclass(frozen=True)
class Sight:
    """The keys that the tokens of one stream see, and the bias on their logits.

    bias: (1 or B, 1, 1, length of the span), or None.
    """

    keys: slice
    bias: Tensor | None = None

    def row(self, total: int, like: Tensor) -> Tensor:
        """The sight as one row (1 or B, 1, 1, total) of an additive mask."""
        row = like.new_full((1 if self.bias is None else len(self.bias), 1, 1, total), -math.inf)
        row[..., self.keys] = 0 if self.bias is None else self.bias
        return row


@dataclass(frozen=True)
class ByStream:
    """An attention mask that only depends on the stream: two calls with a bias per key instead of an L x L mask.

    A dense mask would give the same result up to rounding. At 1024 x 1024 pixels it takes 150 MB, which every head of
    every block would read.
    """

    others: int
    masks: int
    by_others: Sight
    by_mask: Sight

    def dense(self, like: Tensor) -> Tensor:
        """The additive mask (S, S), for callers that need a dense one; (B, 1, S, S) where pictures differ."""
        total = self.others + self.masks
        rows = [sight.row(total, like) for sight in (self.by_others, self.by_mask)]
        batch = max(len(row) for row in rows)
        counts = (self.others, self.masks)
        parts = [row.expand(batch, 1, count, total) for row, count in zip(rows, counts, strict=True)]
        dense = torch.cat(parts, dim=2)
        return dense if batch > 1 else dense[0, 0]


def by_stream(attend: Plain, q: Tensor, k: Tensor, v: Tensor, mask: ByStream) -> Tensor:
    """The attention of [others | mask tokens], in one call for each stream. q may hold only the others.

    Where both see the same, one call is enough.
    """
    if mask.by_others is mask.by_mask:
        return attend(q, k, v, mask.by_others.bias)
    queries = (q[:, :, : mask.others], mask.by_others), (q[:, :, mask.others :], mask.by_mask)
    parts = [attend(part, k[:, :, s.keys], v[:, :, s.keys], s.bias) for part, s in queries if part.shape[2]]
    return torch.cat(parts, dim=1)


def who_sees_whom(
    given: Tensor | None,
    others: int,
    masks: int,
    options: StreamOptions,
    like: Tensor,
    texts: tuple[RegionText, ...] = (),
    text: int = 0,
    absent: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor | ByStream | None:
    """Like `attention_mask`, but dense only if the host's mask or a region's text needs it.

    bias: (1 or B, 1, 1, masks), for all logits of the mask tokens' keys; None: none.
    """
    if given is not None or texts:
        dense = attention_mask(given, others, masks, options, like, texts, text, absent)
        return dense if bias is None else add_bias(dense, _key_row(bias, others))
    to_mask, from_mask = _levels(options)
    if to_mask == from_mask == 0 and absent is None:
        if bias is None:
            return None
        everything = Sight(slice(None), _key_row(bias, others))
        return ByStream(others, masks, everything, everything)
    by_others = _sight(to_mask, 0, others, masks, like)
    if absent is not None and to_mask > -math.inf:
        levels = like.new_full((len(absent), 1, 1, masks), to_mask)
        by_others = Sight(slice(None), _key_row(levels.masked_fill(absent[:, None, None, None], -math.inf), others))
    by_mask = _sight(from_mask, others, others + masks, others, like)
    if bias is not None:
        by_others, by_mask = (_biased(sight, bias, others, masks) for sight in (by_others, by_mask))
    return ByStream(others, masks, by_others, by_mask)


def _key_row(bias: Tensor, others: int) -> Tensor:
    """Put zeros for the other tokens' keys before a bias on the mask tokens' keys (1 or B, 1, 1, M)."""
    return torch.cat((bias.new_zeros(len(bias), 1, 1, others), bias), dim=-1)


def _biased(sight: Sight, bias: Tensor, others: int, masks: int) -> Sight:
    """Add a bias (1 or B, 1, 1, M) on the mask tokens' keys to a sight, if the sight includes them."""
    span = range(others + masks)[sight.keys]
    if span.stop <= others:
        return sight
    row = _key_row(bias, others - span.start)
    return Sight(sight.keys, row if sight.bias is None else sight.bias + row)


def _sight(level: float, first: int, last: int, foreign: int, like: Tensor) -> Sight:
    """The sight of the stream with the keys first:last; the `foreign` keys of the other stream get this level."""
    if level == 0:
        return Sight(slice(None))
    if level == -math.inf:
        return Sight(slice(first, last))
    bias = like.new_zeros(1, 1, 1, last - first + foreign)
    bias[..., last:] = bias[..., :first] = level
    return Sight(slice(None), bias)


def _hidden(others: int, masks: int, first: int, last: int, like: Tensor) -> Tensor:
    """The bias (1, 1, S, S) that hides the mask, and the regions' texts at first:last, from text and image."""
    hidden = like.new_zeros(1, 1, others + masks, others + masks)
    hidden[..., :others, others:] = -math.inf
    hidden[..., :others, first:last] = -math.inf
    hidden[..., first:last, :] = 0  # nothing reads these rows, but a row that sees nothing would be NaN
    return hidden


def _levels(options: StreamOptions) -> tuple[float, float]:
    """The levels that are added to the logits: of the others towards the mask tokens, and the reverse."""
    crossing = math.log(options.strength) if options.strength > 0 else -math.inf
    to_mask = crossing if options.union_attention else -math.inf
    from_mask = -math.inf if options.independent_condition or not options.union_attention else crossing
    return to_mask, from_mask


def attention_mask(
    given: Tensor | None,
    others: int,
    masks: int,
    options: StreamOptions,
    like: Tensor,
    texts: tuple[RegionText, ...] = (),
    text: int = 0,
    absent: Tensor | None = None,
) -> Tensor | None:
    """The additive mask over [others | mask tokens], or None if every token sees every other equally.

    Dense masks turn flash attention off, so `who_sees_whom` builds one only if necessary.

    Args:
        given: the host's mask over the others, (..., N, N), boolean (True: see) or additive, with or without the
            regions' texts.
        others: how many tokens are not the mask's.
        masks: how many are.
        like: gives dtype and device.
        texts: the regions' texts.
        text: how many tokens are text; the last of them are the regions'.
        absent: (B,) bool, the pictures whose text and image see neither mask nor regions' texts; None: no picture.
    """
    if absent is not None:
        present = attention_mask(given, others, masks, options, like, texts, text)
        plain = attention_mask(make_room(given, texts, text, others), others, masks, options, like)
        hidden = _hidden(others, masks, text - sum(one.tokens for one in texts), text, like)
        there = add_bias(present, torch.zeros_like(hidden))
        return torch.where(absent[:, None, None, None], add_bias(plain, hidden), there)
    if texts:
        room = make_room(given, texts, text, others)
        plain = attention_mask(room, others, masks, options, like)
        return add_bias(plain, text_bias(texts, text, others, masks, like))
    to_mask, from_mask = _levels(options)
    if given is None and to_mask == from_mask == 0:
        return None
    lead = () if given is None else given.shape[:-2]
    mask = like.new_zeros(*lead, others + masks, others + masks)
    mask[..., :others, others:] = to_mask
    mask[..., others:, :others] = from_mask
    if given is not None:
        if given.dtype == torch.bool:
            given = torch.zeros_like(given, dtype=mask.dtype).masked_fill(~given, -math.inf)
        mask[..., :others, :others] = given
    return mask
