"""Region prompts: which tokens of picture and mask see a region's text, and which tokens it sees.

The tokens of a pass are [global text | region 1's text | region 2's text ... | image | mask]. A region's text and the
image and mask tokens of its area see each other, as a prompt and all tokens do without regions. All other tokens,
including the global text, do not see it. The area sees less of the global text, or nothing: a prompt that does not
mention a region still implies its usual looks, which win if both texts have equal weight. Picture tokens exchange
information from block to block, so a region's text can reach beyond its area, but only through the picture.
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
"""A token belongs to a class from this share of the class's fullest token on."""


@dataclass(frozen=True)
class RegionPrompt:
    """A prompt for one class, independent of the picture.

    context: the encoded prompt (1, T, C), the input of the transformer's `txt_in`.
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

    context: (B, T, C), or (1, T, C) for all pictures. area: (B, L) bool, the image tokens that see it (and are seen),
    and with each the mask token at the same place. strength, prompt_strength: as in `RegionPrompt`.
    """

    context: Tensor
    area: Tensor
    strength: float = 1.0
    prompt_strength: float = 1.0

    @property
    def tokens(self) -> int:
        return self.context.shape[1]


def area_of(shares: Tensor) -> Tensor:
    """The tokens of a class, from its shares of the latent cells: (B, H/8, W/8) -> (B, L) bool, row by row.

    A token belongs to the class if the class covers at least a twentieth as much of it as of its fullest token. Hair,
    skin and clothing fill whole tokens, so for them that is a twentieth of a token. Their whole rim then belongs to
    the class, which matters because a rim with the global text's looks affects the rest of the region; specks do not
    belong to it. Brows, lips and eyes may never fill a twentieth of a token, above all in small pictures. Relative to
    their fullest token they always have an area, unless they are absent.
    """
    covered = F.avg_pool2d(pad_to_tokens(shares), 2).flatten(1)
    return (covered > 0) & (covered >= SHARE * covered.amax(dim=1, keepdim=True))


def join_context(context: Tensor, texts: Sequence[RegionText]) -> Tensor:
    """The global text (B, T, C) followed by the regions' texts, (B, T + R, C)."""
    contexts = [text.context.to(context).expand(len(context), -1, -1) for text in texts]
    return torch.cat((context, *contexts), dim=1)


def make_room(given: Tensor | None, texts: Sequence[RegionText], text: int, others: int) -> Tensor | None:
    """Insert the regions' texts, visible to all, into the host's mask over [global text | image], (..., Q, N).

    text, others: how many tokens are text and how many are not the mask's, both including the regions' texts.
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
    """The bias on the attention logits (B, 1, S, S) that restricts the regions' texts to their areas.

    Where areas overlap, the lowest of their prompt strengths applies to the global text.

    Args:
        text: how many tokens are text; the last of them are the regions'.
        others: how many tokens are not the mask's.
        masks: how many are; S is both.
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
    """Reduce the attention of an area's image and mask tokens to the first `words` tokens, the global text's."""
    if one.prompt_strength == 1 or one.strength == 0:
        return
    quiet = torch.where(one.area.to(bias.device), _logarithm(one.prompt_strength), 0.0).to(bias)
    for start in (text, others):
        rows = bias[:, 0, start : start + one.area.shape[1], :words]
        rows.copy_(rows.minimum(quiet[..., None]))


def _logarithm(strength: float) -> float:
    return math.log(strength) if strength > 0 else -math.inf


def add_bias(mask: Tensor | None, bias: Tensor) -> Tensor:
    """The sum of an additive attention mask of 2, 3 or 4 dimensions, or None, and the bias (B, 1, S, S)."""
    if mask is None:
        return bias
    # Three dimensions are (B, S, S); they need one for the heads to line up with the bias.
    return (mask[:, None] if mask.ndim == 3 else mask) + bias
