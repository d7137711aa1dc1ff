"""Everything random in a training step, drawn before it. Each sample has a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...masks.labels import NUM_MASKS
from ...model.flux_latents import TOKEN_WIDTH
from ...model.sampling.sigmas import shift, shift_mu


@dataclass(frozen=True)
class DropRates:
    """How often a sample's text becomes the empty prompt, and each of its local masks becomes black.

    all_masks: how often all of them become black, including the full one. The official training never does that.
    extra: how often each of the network's further conditions is left out, in the network's order.
    """

    text: float = 0.1
    local_mask: float = 0.1
    all_masks: float = 0.0
    extra: tuple[float, ...] = ()


@dataclass(frozen=True)
class Times:
    """How t is computed from a normal draw: by default sigmoid(N(0, 1)), as in the official code.

    sampling: `logit_normal`; `uniform`; `flux_shift`, the logit-normal shifted like FLUX's sigmas at this size.
    strata: t of consecutive samples comes from this many equally likely slices in turn, so that a batch of this
        size has one sample in each slice; 1 draws them independently.
    """

    sampling: Literal["logit_normal", "uniform", "flux_shift"] = "logit_normal"
    strata: int = 1


@dataclass(frozen=True)
class Draws:
    """The draws of one batch: t (B,) in 0..1, noise (B, L, 64), and what is dropped.

    drop_text: (B,) bool. drop_masks: (B, 20) bool; the full mask is only dropped together with all others.
    drop_extra: (B, K) bool, the further conditions; None drops none of them.
    """

    t: Tensor
    noise: Tensor
    drop_text: Tensor
    drop_masks: Tensor
    drop_extra: Tensor | None = None

    def to(self, device: torch.device) -> Draws:
        extra = None if self.drop_extra is None else self.drop_extra.to(device)
        parts = (self.t, self.noise, self.drop_text, self.drop_masks)
        t, noise, drop_text, drop_masks = (part.to(device) for part in parts)
        return Draws(t, noise, drop_text, drop_masks, extra)


def generator(seed: int, stream: str, number: int) -> torch.Generator:
    """The CPU generator of this sample or step. Its draws depend on no earlier draw."""
    mixed = seed
    for part in (*stream.encode(), number):
        mixed = (mixed * 1_000_003 + part + 1) % (2**63 - 1)
    return torch.Generator().manual_seed(mixed)


def draw(
    rng: torch.Generator,
    count: int,
    tokens: int,
    rates: DropRates | None = None,
    times: Times | None = None,
    number: int = 0,
) -> Draws:
    """The draws of `count` samples of `tokens` tokens each; the first is the run's sample `number`."""
    rates = rates or DropRates()
    t = timesteps(torch.randn(count, generator=rng), tokens, times or Times(), number)
    noise = torch.randn(count, tokens, TOKEN_WIDTH, generator=rng)
    drop_text = torch.rand(count, generator=rng) < rates.text
    drop_masks = torch.rand(count, NUM_MASKS, generator=rng) < rates.local_mask
    drop_masks[:, 0] = False
    # The last draws, and only if they are needed, so that the other draws are the same with and without them.
    if rates.all_masks > 0:
        drop_masks |= torch.rand(count, 1, generator=rng) < rates.all_masks
    if not rates.extra:
        return Draws(t, noise, drop_text, drop_masks)
    drop_extra = torch.rand(count, len(rates.extra), generator=rng) < torch.tensor(rates.extra)
    return Draws(t, noise, drop_text, drop_masks, drop_extra)


def timesteps(normal: Tensor, tokens: int, times: Times, number: int = 0) -> Tensor:
    """t (B,) in 0..1 from normal draws (B,), for samples from `number` on."""
    if times.strata > 1:
        slices = (number + torch.arange(len(normal))) % times.strata
        share = (slices + torch.special.ndtr(normal.double())) / times.strata
        normal = torch.special.ndtri(share).float()
    if times.sampling == "uniform":
        uniform: Tensor = torch.special.ndtr(normal)
        return uniform
    t = normal.sigmoid()
    return shift(t, shift_mu(tokens)) if times.sampling == "flux_shift" else t


def draw_samples(
    seed: int,
    stream: str,
    numbers: Sequence[int],
    tokens: int,
    rates: DropRates | None = None,
    times: Times | None = None,
) -> Draws:
    """The draws of the samples with these numbers, which are the same in every batch and process."""
    each = [draw(generator(seed, stream, number), 1, tokens, rates, times, number) for number in numbers]
    parts = zip(*((one.t, one.noise, one.drop_text, one.drop_masks) for one in each), strict=True)
    extra = [one.drop_extra for one in each if one.drop_extra is not None]
    t, noise, drop_text, drop_masks = (torch.cat(part) for part in parts)
    return Draws(t, noise, drop_text, drop_masks, torch.cat(extra) if extra else None)
