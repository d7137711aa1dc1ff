"""Who sees whom: the host's attention, and how mask tokens and the others attend to each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .region_text import RegionText, add_bias, make_room, text_bias

Attend = Callable[[Tensor, Tensor, Tensor, "Tensor | None", "Tensor | None"], Tensor]
"""The host's attention: q (B, heads, Q, D), k and v (B, heads, S, D), rotary embedding (B, 1, S, D/2, 2, 2)
or None, mask (.., Q, S) or None -> (B, Q, heads * D). Q <= S: q holds the first Q of the tokens."""


@dataclass(frozen=True)
class StreamOptions:
    """How mask tokens and the others attend to each other; the names of the official code's options.

    union_attention: False separates the mask stream from text and image altogether.
    independent_condition: mask tokens see only each other, the others see them.
    add_condition_attention: in double blocks the mask's gated attention is added to the image, too.
    latent_lora: the LoRA also acts on the image (and, in single blocks, the text) tokens.
    strength: log(strength) is added to the attention logits between mask and non-mask, both ways.
    """

    union_attention: bool = True
    independent_condition: bool = False
    add_condition_attention: bool = False
    latent_lora: bool = False
    strength: float = 1.0


def attention_mask(
    given: Tensor | None,
    others: int,
    own: int,
    options: StreamOptions,
    like: Tensor,
    texts: tuple[RegionText, ...] = (),
    text: int = 0,
) -> Tensor | None:
    """The additive mask over [others | mask tokens], or None where every token sees every other equally.

    Dense masks turn flash attention off, so none is built unless an option, a region's text or the host asks
    for one.

    Args:
        given: the host's mask over the others, (..., N, N), boolean (True: see) or additive; it may be without
            the regions' texts.
        others, own: how many tokens are not the mask's, and how many are.
        like: gives dtype and device.
        texts, text: the regions' texts, and how many tokens are text; the last of them are the regions'.
    """
    if texts:
        room = make_room(given, texts, text, others)
        plain = attention_mask(room, others, own, options, like)
        return add_bias(plain, text_bias(texts, text, others, own, like))
    crossing = math.log(options.strength) if options.strength > 0 else -math.inf
    to_mask = crossing if options.union_attention else -math.inf
    from_mask = -math.inf if options.independent_condition or not options.union_attention else crossing
    if given is None and to_mask == from_mask == 0:
        return None
    lead = () if given is None else given.shape[:-2]
    mask = like.new_zeros(*lead, others + own, others + own)
    mask[..., :others, others:] = to_mask
    mask[..., others:, :others] = from_mask
    if given is not None:
        if given.dtype == torch.bool:
            given = torch.zeros_like(given, dtype=mask.dtype).masked_fill(~given, -math.inf)
        mask[..., :others, :others] = given
    return mask
