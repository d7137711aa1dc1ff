"""Text that belongs to a region: which tokens of picture and mask see it, and what it sees itself.

The tokens of a pass are [global text | region 1's text | region 2's text ... | image | mask]. A region's text
and the image and mask tokens of its area see each other, as every text and every token do; for all others,
the global text included, it is not there. The area does not see the global text meanwhile, or sees less of it:
words that do not speak of a region still give it its usual looks, and with both texts equally loud those win.
Picture tokens pass on what they have learnt from block to block: a region's text reaches beyond its area, but
only by way of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...masks.labels import CLASS_NAMES
from ..flux_latents import pad_to_tokens
from ..mixture.regions import check_window

PROMPT_STRENGTH = 0.0
"""How much of the global text the area of a region's text sees, by default."""

SHARE = 0.05
"""The least share of a token, of what the class covers of its fullest token, that makes it the class's."""


@dataclass(frozen=True)
class RegionPrompt:
    """A prompt for one class, whatever picture it will be used on.

    context: the encoded prompt (1, T, C), as the transformer's `txt_in` takes it.
    strength: log(strength) is added to the attention between this text and its area; 0 leaves the text out.
    prompt_strength: its logarithm is added to the area's attention to the global text.
    Outside start_percent..end_percent of the sampling the text is absent.
    """

    region: str
    context: Tensor
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    prompt_strength: float = PROMPT_STRENGTH

    def __post_init__(self) -> None:
        if self.region not in CLASS_NAMES:
            raise ValueError(f"There is no class {self.region!r}; the classes are {', '.join(CLASS_NAMES)}.")
        if not 0 <= self.strength <= 2:
            raise ValueError(f"The strength of the prompt for {self.region!r} is {self.strength}; choose 0 to 2.")
        if not 0 <= self.prompt_strength <= 1:
            raise ValueError(
                f"The prompt_strength of the prompt for {self.region!r} is {self.prompt_strength}; choose 0 to 1."
            )
        check_window(self.start_percent, self.end_percent, f"the prompt for {self.region!r}")


@dataclass(frozen=True)
class RegionText:
    """One region's text in one forward pass.

    context: (B, T, C), or (1, T, C) for all pictures alike. area: (B, L) bool, the image tokens that see it
    (and are seen), and with each the mask token at the same place. strength, prompt_strength: as in `RegionPrompt`.
    """

    context: Tensor
    area: Tensor
    strength: float = 1.0
    prompt_strength: float = 1.0

    @property
    def tokens(self) -> int:
        return self.context.shape[1]


def area_of(shares: Tensor) -> Tensor:
    """The tokens of a class: its shares of the latent cells (B, H/8, W/8) -> (B, L) bool, row by row.

    A token is the class's where it covers at least a twentieth of what it covers of its fullest token. For
    hair, skin or clothing, which fill whole tokens, that is a twentieth of the token: the whole rim belongs to
    the class, for a rim that keeps the global text's looks draws the rest after it, and specks do not. Brows,
    lips and eyes may nowhere fill a twentieth of a token, above all in small pictures; measured by their own
    fullest token they always have an area, unless they are absent.
    """
    covered = F.avg_pool2d(pad_to_tokens(shares), 2).flatten(1)
    return (covered > 0) & (covered >= SHARE * covered.amax(dim=1, keepdim=True))


def join_context(context: Tensor, texts: Sequence[RegionText]) -> Tensor:
    """The global text (B, T, C) with the regions' behind it, (B, T + R, C)."""
    contexts = [text.context.to(context).expand(len(context), -1, -1) for text in texts]
    return torch.cat((context, *contexts), dim=1)


def make_room(given: Tensor | None, texts: Sequence[RegionText], text: int, others: int) -> Tensor | None:
    """The host's mask over [global text | image], (..., Q, N), with the regions' texts in between, open to all.

    text, others: how many tokens are text and how many are not the mask's, both with the regions' texts.
    """
    added = sum(one.tokens for one in texts)
    if given is None or given.shape[-1] == others:
        return given
    places = torch.arange(others, device=given.device)
    places = torch.cat((places[: text - added], places[text:]))
    whole = torch.ones if given.dtype == torch.bool else torch.zeros
    grown = whole(*given.shape[:-2], others, others, dtype=given.dtype, device=given.device)
    grown[..., places[:, None], places] = given
    return grown


def text_bias(texts: Sequence[RegionText], text: int, others: int, masks: int, like: Tensor) -> Tensor:
    """The addition to the attention logits (B, 1, S, S) that keeps the regions' texts to their areas.

    Where areas overlap, the global text is as quiet as the quietest of their texts wants it.

    Args:
        text: how many tokens are text; the last of them are the regions'.
        others, masks: how many tokens are not the mask's, and how many are; S is both.
        like: gives dtype and device.
    """
    batch = max(one.area.shape[0] for one in texts)
    bias = like.new_zeros(batch, 1, others + masks, others + masks)
    first = text - sum(one.tokens for one in texts)
    bias[..., first:text, :] = bias[..., first:text] = -math.inf
    for one in texts:
        _quieten(bias, one, text, others, first)
    for one in texts:
        level, place, last = _logarithm(one.strength), one.area.shape[1], first + one.tokens
        seen = like.new_full((batch, 1, 1, others + masks), -math.inf)
        seen[..., text : text + place] = seen[..., others : others + place] = torch.where(
            one.area.to(like.device), level, -math.inf
        )[:, None, None]
        seen[..., first:last] = 0
        bias[..., first:last, :] = seen
        bias[..., first:last] = seen.mT
        first = last
    return bias


def _quieten(bias: Tensor, one: RegionText, text: int, others: int, words: int) -> None:
    """The area's image and mask tokens see less of the first `words` tokens, the global text's, which see all."""
    if one.prompt_strength == 1 or one.strength == 0:
        return
    quiet = torch.where(one.area.to(bias.device), _logarithm(one.prompt_strength), 0.0).to(bias)
    for start in (text, others):
        rows = bias[:, 0, start : start + one.area.shape[1], :words]
        rows.copy_(rows.minimum(quiet[..., None]))


def _logarithm(strength: float) -> float:
    return math.log(strength) if strength > 0 else -math.inf


def add_bias(mask: Tensor | None, bias: Tensor) -> Tensor:
    """An additive attention mask of 2, 3 or 4 dimensions, or none, and the bias (B, 1, S, S) as one."""
    if mask is None:
        return bias
    # Three dimensions are (B, S, S); without one for the heads they would meet the bias askew.
    return (mask[:, None] if mask.ndim == 3 else mask) + bias
