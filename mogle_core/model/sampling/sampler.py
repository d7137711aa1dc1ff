"""From noise to a latent: FLUX, the mask stream's experts and gate, regions and their texts, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ..checkpoints.files import Recipe
from ..flux.model import Flux, MaskCondition
from ..flux_latents import DOWNSCALE, LATENT_CHANNELS, pack, unpack
from ..mixture.network import MoGLE
from ..mixture.regions import Region, strengths
from ..stream.attention import StreamOptions
from ..stream.kept_keys import Refresh, Reuse
from ..stream.lora import LowRank, MaskLoRA
from ..stream.mask_tokens import Grid, check_texts, mask_grid, resize_tokens, thin_tokens
from ..stream.region_text import RegionText
from .sigmas import euler, flux_sigmas, guided, sigma_at


class Models(Protocol):
    """What sampling needs. Without network and LoRA pictures come from text alone."""

    @property
    def flux(self) -> Flux: ...
    @property
    def network(self) -> MoGLE | None: ...
    @property
    def lora(self) -> MaskLoRA | None: ...
    @property
    def recipe(self) -> Recipe: ...


@dataclass(frozen=True)
class Moment:
    """One sampling step, as `sample` records it.

    step: from 0. sigma: noise share before it. latents: (B, 16, H/8, W/8) after it.
    gates: (B, L, 20), each token's weights of the full mask's expert and the 19 classes'; None without a mask.
    """

    step: int
    sigma: float
    latents: Tensor
    gates: Tensor | None


Text = tuple[Tensor, Tensor]
"""Context (B, T, C) and pooled text (B, P)."""


def noise_of(seeds: Sequence[int], height: int, width: int) -> Tensor:
    """The noise of each seed, (B, 16, H/8, W/8): what ComfyUI draws for a batch of one."""
    shape = (LATENT_CHANNELS, height // DOWNSCALE, width // DOWNSCALE)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def sample(
    models: Models,
    masks: Tensor | None,
    text: Text,
    noise: Tensor,
    steps: int,
    guidance: float = 1.0,
    cfg: float = 1.0,
    record: Callable[[Moment], None] | None = None,
    regions: tuple[Region, ...] = (),
    texts: tuple[RegionText, ...] = (),
    empty: Text | None = None,
    strength: float = 1.0,
    mask_guidance: float | None = None,
    refresh: Refresh | None = None,
    mask_tokens: str = "full",
) -> Tensor:
    """From noise (B, 16, h, w) to latents of the same shape, by Euler on FLUX's shifted sigmas.

    Args:
        masks: the mask latents as tokens (B, 20, L, 64), or None for the base model.
        cfg: classifier-free guidance against `empty`, the empty prompt's text, with the same mask; 1 is none.
        record: called after every step.
        regions: strengths and time windows of single masks. texts: of single regions, which `empty` has none of.
        strength: of the whole mask; 0 is the base model. mask_guidance: the mask stream's own guidance.
        refresh: when the mask stream's keys are made anew; None is at every step. mask_tokens: `full`, or `half`
            for a quarter of them.

    Raises:
        ValueError: masks without a network, or cfg without `empty`.
    """
    if masks is not None and (models.network is None or models.lora is None):
        raise ValueError("A mask needs Face-MoGLE's network and LoRA: give their files by --mogle and --lora.")
    if cfg != 1 and empty is None:
        raise ValueError(f"Classifier-free guidance of {cfg} needs the empty prompt's text.")
    check_texts(mask_tokens, texts)
    height, width = noise.shape[-2:]
    grid = (height // 2, width // 2)
    sigmas = flux_sigmas(steps, grid[0] * grid[1])
    levels = sigmas.tolist()  # before they are on the device, which a step must not wait for
    stream = None
    if masks is not None and strength != 0:
        options = replace(models.recipe.options, strength=strength)
        stream = _Stream(models, masks, grid, mask_grid(mask_tokens, grid), regions, options, mask_guidance)
    reuse = _reuse(models, refresh or Refresh())
    dtype = models.flux.img_in.weight.dtype
    guidances = noise.new_full((len(noise),), guidance)
    told = _conditioning(models.flux, text, noise, guidances, stream, texts)
    blank = None if cfg == 1 or empty is None else _conditioning(models.flux, empty, noise, guidances, stream)

    step = 0

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        mask = None if stream is None else stream.condition(x.to(dtype), sigma, levels[step])
        with_text = predict(told, x, sigma, mask)
        return with_text if blank is None else guided(with_text, predict(blank, x, sigma, mask), cfg)

    def predict(given: _Conditioning, x: Tensor, sigma: Tensor, mask: MaskCondition | None) -> Tensor:
        """The velocity in the noise's own type: a latent that is rounded at every step would drift."""
        if mask is not None:
            known, place = (None, None) if reuse is None else reuse.at(given, step, steps)
            mask = replace(mask, texts=given.texts, modulations=given.modulations, reuse=known, keep=place)
        found: Tensor = models.flux(x.to(dtype), given.context, sigma, given.pooled, grid, guidances, mask)
        return found.to(x.dtype)

    latents = noise
    for tokens in euler(velocity, pack(noise), sigmas.to(noise)):
        latents = unpack(tokens, height, width)
        if record is not None:
            gates = None if stream is None else stream.gates
            record(Moment(step, levels[step], latents, gates))
        step += 1
    return latents


def _reuse(models: Models, refresh: Refresh) -> Reuse | None:
    if refresh.every == 1:
        return None
    refresh.check(models.recipe.options)
    return Reuse(refresh, len(models.flux.double_blocks) + len(models.flux.single_blocks))


@dataclass(frozen=True, eq=False)
class _Conditioning:
    """What the transformer is told at every step alike. modulations: the mask stream's, if there is one."""

    context: Tensor
    pooled: Tensor
    texts: tuple[RegionText, ...]
    modulations: dict[str, Tensor] | None


def _conditioning(
    flux: Flux,
    text: Text,
    noise: Tensor,
    guidance: Tensor,
    stream: _Stream | None,
    texts: tuple[RegionText, ...] = (),
) -> _Conditioning:
    context, pooled = (part.to(noise.device, flux.img_in.weight.dtype) for part in text)
    modulations = None if stream is None else flux.modulate_mask(pooled, guidance, stream.lora, stream.guidance)
    return _Conditioning(context, pooled, texts, modulations)


class _Stream:
    """The mask's share of one sampling run: the experts' outputs once, the gate at each step."""

    def __init__(
        self,
        models: Models,
        masks: Tensor,
        grid: Grid,
        own: Grid,
        regions: tuple[Region, ...],
        options: StreamOptions,
        guidance: float | None,
    ) -> None:
        """grid: the picture's. own: the mask's."""
        assert models.network is not None and models.lora is not None  # `sample` has said so
        self.network, self.recipe, self.options, self.guidance = models.network, models.recipe, options, guidance
        masks = resize_tokens(masks, grid, own)
        self.grid, self.own, self.full_mask, self.regions = grid, own, masks[:, 0], regions
        tokens = grid[0] * grid[1]
        self.windows = [(sigma_at(one.end_percent, tokens), sigma_at(one.start_percent, tokens)) for one in regions]
        self.outputs = self.network.expert_outputs(masks)
        self.lora: dict[str, LowRank] = models.lora.low_rank()
        self.gates: Tensor | None = None

    def condition(self, noisy: Tensor, sigma: Tensor, level: float) -> MaskCondition:
        """At the noisy tokens (B, L, 64) and sigma (B,), which is the number `level`."""
        time = sigma * 1000 if self.recipe.gate_timestep == "sampling" else sigma
        noisy = thin_tokens(noisy, self.grid, self.own)
        self.gates = self.network.gate_weights(self.full_mask, noisy, time)
        tokens = self.network.blend(self.outputs, self.gates, self.factors(level))
        return MaskCondition(tokens, self.own, self.lora, self.options)

    def factors(self, sigma: float) -> Tensor | None:
        """The regions' strengths at this step, (20,); None if all are 1."""
        found = strengths(self.regions, tuple(last <= sigma <= first for last, first in self.windows))
        return None if found is None else found.to(self.outputs)
