"""Samples a latent from noise with FLUX, the mask stream, region strengths and region prompts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ...support.identity import identity
from ..checkpoints.recipe import Recipe
from ..flux.attention import attend
from ..flux.model import Flux
from ..flux_latents import DOWNSCALE, LATENT_CHANNELS, pack, unpack
from ..mixture.network import MoGLE
from ..mixture.regions import strengths
from ..stream.condition import MaskCondition
from ..stream.kept_keys import Kept, Reuse
from ..stream.lora import LowRank, MaskLoRA
from ..stream.mask_tokens import Grid, check_options, check_texts, mask_positions
from ..stream.merged_tokens import merge_squares
from ..stream.region_text import RegionText
from ..stream.static_keys import StaticKeys, compute_keys, digest
from ..stream.transformer import blocks_of
from .gated_mask import GatedMask
from .options import SamplingOptions
from .sigmas import euler, flux_sigmas, guided, sigma_at


class Models(Protocol):
    """The models for sampling. Without network and LoRA, pictures come from text alone."""

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
    computed: whether the step ran the mask stream; False without a mask, and where it reused keys.
    """

    step: int
    sigma: float
    latents: Tensor
    gates: Tensor | None
    computed: bool = True


Record = Callable[[Moment], None]

Text = tuple[Tensor, Tensor]
"""Context (B, T, C) and pooled text (B, P)."""


def noise_of(seeds: Sequence[int], height: int, width: int) -> Tensor:
    """The noise of each seed, (B, 16, H/8, W/8), as ComfyUI draws it for a batch of one."""
    shape = (LATENT_CHANNELS, height // DOWNSCALE, width // DOWNSCALE)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def sample(
    models: Models,
    masks: Tensor | None,
    text: Text,
    noise: Tensor,
    options: SamplingOptions,
    texts: tuple[RegionText, ...] = (),
    empty: Text | None = None,
    record: Record | None = None,
    store: StaticKeys | None = None,
    cells: Tensor | None = None,
) -> Tensor:
    """Sample latents from noise (B, 16, h, w), by Euler steps on FLUX's shifted sigmas.

    Args:
        masks: the mask latents as tokens (B, 20, L, 64), or None for the base model.
        texts: prompts of single regions. empty: the empty prompt's text, for classifier-free guidance; it gets the
            same mask and no region prompts.
        record: called after every step.
        store: keeps the keys of a static stream beyond this run; None keeps them for this run.
        cells: the class of each of the masks' latent cells (B, h, w), as `MaskLatents.cells` has it, for `mask_tokens`
            merged. None merges nothing.

    Raises:
        ValueError: masks without a network, cfg without `empty`, or options that exclude each other.
    """
    if masks is not None and (models.network is None or models.lora is None):
        raise ValueError("A mask needs Face-MoGLE's network and LoRA: give their files by --mogle and --lora.")
    if options.cfg != 1 and empty is None:
        raise ValueError(f"Classifier-free guidance of {options.cfg} needs the empty prompt's text.")
    check_texts(options.mask_tokens, texts)
    check_options(options.mask_tokens, models.recipe.options)
    height, width = noise.shape[-2:]
    grid = (height // 2, width // 2)
    sigmas = flux_sigmas(options.steps, grid[0] * grid[1])
    levels = sigmas.tolist()  # before they are on the device, so that steps do not wait for it
    stream = None if masks is None or options.strength == 0 else _Stream(models, masks, grid, options, store, cells)
    reuse = None if stream is not None and stream.static else _reuse(models, options)
    dtype = models.flux.img_in.weight.dtype
    guidances = noise.new_full((len(noise),), options.guidance)
    prompt = _conditioning(models.flux, text, noise, guidances, stream, texts)
    blank = None if options.cfg == 1 or empty is None else _conditioning(models.flux, empty, noise, guidances, stream)

    step, computed = 0, False

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        mask = None if stream is None else stream.condition(x.to(dtype), sigma, levels[step])
        with_text = predict(prompt, x, sigma, mask)
        return with_text if blank is None else guided(with_text, predict(blank, x, sigma, mask), options.cfg)

    def predict(given: _Conditioning, x: Tensor, sigma: Tensor, mask: MaskCondition | None) -> Tensor:
        """The velocity in the noise's dtype, because a latent that is rounded at every step would drift."""
        nonlocal computed
        if mask is not None and mask.reuse is not None:
            mask = replace(mask, texts=given.texts)
        elif mask is not None:
            known, place = (
                (None, None) if reuse is None else reuse.at(given, step, options.steps, mask.tokens, options.keys.new)
            )
            mask = replace(mask, texts=given.texts, modulations=given.modulations, reuse=known, keep=place)
        computed = mask is not None and mask.reuse is None
        predicted: Tensor = models.flux(x.to(dtype), given.context, sigma, given.pooled, grid, guidances, mask)
        return predicted.to(x.dtype)

    latents = noise
    for tokens in euler(velocity, pack(noise), sigmas.to(noise)):
        latents = unpack(tokens, height, width)
        if record is not None:
            gates = None if stream is None else stream.gates_of(len(noise))
            record(Moment(step, levels[step], latents, gates, computed))
        step += 1
    return latents


def _reuse(models: Models, options: SamplingOptions) -> Reuse | None:
    if options.refresh.exact:
        return None
    options.refresh.check(models.recipe.options)
    return Reuse(options.refresh, len(blocks_of(models.flux)))


@dataclass(frozen=True, eq=False)
class _Conditioning:
    """The transformer's inputs that are the same at every step. modulations: the mask stream's, if there is one."""

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
    modulations = None
    if stream is not None:
        modulations = stream.modulations or flux.modulate_mask(
            pooled, guidance, stream.lora, stream.options.mask_guidance
        )
    return _Conditioning(context, pooled, texts, modulations)


class _Stream:
    """The mask stream of one sampling run: experts run once, the gate runs at each step.

    static: whether its keys hold for the whole run. modulations: of a vector that is blind to the prompt.
    """

    def __init__(
        self,
        models: Models,
        masks: Tensor,
        picture: Grid,
        options: SamplingOptions,
        store: StaticKeys | None,
        cells: Tensor | None = None,
    ) -> None:
        """masks: (B, 20 + K, L, 64). picture: its grid. cells: as in `sample`."""
        assert models.network is not None and models.lora is not None  # checked by `sample`
        self.flux, self.gate_timestep, self.options = models.flux, models.recipe.gate_timestep, options
        self.attention = replace(models.recipe.options, strength=options.strength)
        self.static, self.store = models.recipe.stream == "static", store or StaticKeys()
        self.merged = None
        if options.mask_tokens == "merged" and cells is not None:
            self.merged = merge_squares(cells, picture, masks.device)
        alike = self.merged is None or self.merged.alike
        if self.static and alike and bool((masks == masks[:1]).all()):
            masks = masks[:1]  # one set of keys serves all pictures
        self.mask = GatedMask.of(models.network, masks, picture, options.mask_tokens)
        tokens = picture[0] * picture[1]
        self.windows = [
            (sigma_at(region.end_percent, tokens), sigma_at(region.start_percent, tokens)) for region in options.regions
        ]
        self.lora: dict[str, LowRank] = models.lora.low_rank()
        self.gates: Tensor | None = None
        pooled = models.recipe.pooled
        self.modulations = None if pooled is None else self._blind(pooled)
        self.source = self._source(models, masks) if self.static else ()

    def condition(self, noisy: Tensor, sigma: Tensor, level: float) -> MaskCondition:
        """The condition at the noisy tokens (B, L, 64) and sigma (B,); `level` is sigma as a number."""
        factors = self.factors(level)
        mask = MaskCondition(
            noisy[:, :0],
            self.mask.grid,
            self.lora,
            self.attention,
            modulations=self.modulations,
            merged=self.merged,
        )
        if self.static:
            strengths = None if factors is None else tuple(factors.tolist())
            return replace(mask, reuse=self.store.get((*self.source, strengths), lambda: self._keys(mask, factors)))
        self.gates = self.mask.gate(noisy, sigma, self.gate_timestep)
        return replace(mask, tokens=self.mask.blend(self.gates, factors))

    def _blind(self, pooled: Tensor) -> dict[str, Tensor]:
        return self.flux.modulate_blind_mask(pooled.to(self.flux.img_in.weight), self.lora)

    def factors(self, sigma: float) -> Tensor | None:
        """The regions' strengths at this step; None if all are 1."""
        active = tuple(last <= sigma <= first for last, first in self.windows)
        factors = strengths(self.options.regions, active, self.mask.network.config.extra)
        return None if factors is None else factors.to(self.mask.outputs)

    def gates_of(self, batch: int) -> Tensor | None:
        """The gate's weights of this step, for each picture of the batch."""
        if self.static:
            self.gates = self._gates()
        return None if self.gates is None else self.gates.expand(batch, -1, -1)

    def _gates(self) -> Tensor | None:
        """The weights of a gate that sees the mask alone."""
        seen = self.mask.full_mask
        noise = seen.new_zeros(len(seen), self.mask.picture[0] * self.mask.picture[1], seen.shape[-1])
        return self.mask.gate(noise, seen.new_zeros(len(seen)), self.gate_timestep)

    def _keys(self, mask: MaskCondition, factors: Tensor | None) -> Kept:
        kept = self.options.keys.new()
        whole = replace(mask, tokens=self.mask.blend(self._gates(), factors))
        rows, columns = self.mask.picture
        ids = mask_positions(rows, columns, len(self.flux.params.axes_dim), whole.tokens.device)
        compute_keys(self.flux, whole, ids, self.mask.picture, self.flux.rotary, lambda _: attend, kept)
        return kept

    def _source(self, models: Models, masks: Tensor) -> tuple[Hashable, ...]:
        """What the keys of a static stream depend on, except for the regions' strengths."""
        assert models.network is not None and models.lora is not None and models.recipe.pooled is not None
        scales = tuple((name, rows) for name, rows in models.lora.rows.items())
        merged = () if self.merged is None else (self.merged.members, self.merged.bias)
        weights = (masks, models.recipe.pooled, *models.network.parameters(), *models.lora.parameters(), *merged)
        form = (self.mask.picture, self.mask.grid, self.options.keys, masks.dtype, str(masks.device))
        return identity(models.flux), str(models.network.config), scales, digest(weights), form
