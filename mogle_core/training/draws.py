"""Everything random in a training step, drawn ahead of it from generators that belong to one number each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..labels import NUM_MASKS
from ..network import TOKEN_WIDTH


@dataclass(frozen=True)
class DropRates:
    """How often a sample's text becomes the empty prompt, and each of its local masks becomes black."""

    text: float = 0.1
    local_mask: float = 0.1


@dataclass(frozen=True)
class Draws:
    """One batch's chances: t (B,) in 0..1, noise (B, L, 64), and what is dropped.

    drop_text: (B,) bool. drop_masks: (B, 20) bool, never the full mask.
    """

    t: Tensor
    noise: Tensor
    drop_text: Tensor
    drop_masks: Tensor

    def to(self, device: torch.device) -> Draws:
        return Draws(*(part.to(device) for part in (self.t, self.noise, self.drop_text, self.drop_masks)))


def generator(seed: int, stream: str, number: int) -> torch.Generator:
    """The CPU generator of this sample or step: what it draws depends on nothing that came before."""
    mixed = seed
    for part in (*stream.encode(), number):
        mixed = (mixed * 1_000_003 + part + 1) % (2**63 - 1)
    return torch.Generator().manual_seed(mixed)


def draw(rng: torch.Generator, count: int, tokens: int, rates: DropRates | None = None) -> Draws:
    """The chances of `count` samples of `tokens` tokens each; t = sigmoid(N(0, 1))."""
    rates = rates or DropRates()
    t = torch.randn(count, generator=rng).sigmoid()
    noise = torch.randn(count, tokens, TOKEN_WIDTH, generator=rng)
    drop_text = torch.rand(count, generator=rng) < rates.text
    drop_masks = torch.rand(count, NUM_MASKS, generator=rng) < rates.local_mask
    drop_masks[:, 0] = False
    return Draws(t, noise, drop_text, drop_masks)


def draw_samples(
    seed: int, stream: str, numbers: Sequence[int], tokens: int, rates: DropRates | None = None
) -> Draws:
    """The chances of the samples with these numbers: the same whatever batch or process they are in."""
    each = [draw(generator(seed, stream, number), 1, tokens, rates) for number in numbers]
    parts = zip(*((one.t, one.noise, one.drop_text, one.drop_masks) for one in each), strict=True)
    return Draws(*(torch.cat(part) for part in parts))
