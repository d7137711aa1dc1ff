"""What one forward pass needs of the mask: gate and tokens of this step, the rest computed once a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from comfy.ldm.flux.layers import timestep_embedding
from torch import Tensor

from ...mogle_core.masks.labels import NUM_MASKS
from ...mogle_core.model.flux_latents import TOKEN_WIDTH, pack
from ...mogle_core.model.mixture.gate_record import GateStep
from ...mogle_core.model.mixture.network import MoGLE
from ...mogle_core.model.mixture.regions import Region, strengths
from ...mogle_core.model.stream.attention import StreamOptions
from ...mogle_core.model.stream.kept_keys import Kept
from ...mogle_core.model.stream.lora import FusedLoRA, LowRank
from ...mogle_core.model.stream.mask_tokens import mask_grid, mask_modulations, resize_tokens, thin_tokens
from ...mogle_core.model.stream.region_text import RegionText
from .blocks import Visits
from .foreign_blocks import Key, foreign_blocks
from .kept_keys import kept_keys
from .region_texts import heard_texts
from .runs import MaskSettings, Run, Step
from .versions import compute_dtype

# The names of network and LoRA among a model's additional models.
NETWORK = "mogle"
LORA = "mogle_lora"
FILES_LORA = "mogle_lora_of_file"  # from a combined file, for as long as no LoRA Apply brings another


@dataclass(frozen=True)
class MaskPass:
    """What one forward pass needs of the mask. Handed over as an argument of the model: a compiled model
    checks its arguments, but not its transformer_options, and would run on without the mask."""

    tokens: Tensor  # (B, M, 64)
    modulations: Mapping[str, Tensor]
    lora: Mapping[str, LowRank]
    options: StreamOptions
    separate_calls: bool
    texts: tuple[RegionText, ...] = ()
    mask_tokens: str = "full"
    keep: Kept | None = None
    reuse: Kept | None = None
    foreign: Mapping[Key, str] = field(default_factory=dict)
    visits: Visits = field(default_factory=Visits)


def mask_pass(settings: MaskSettings, run: Run, step: Step) -> MaskPass:
    """Gate and mask tokens of this step; expert outputs, LoRA and modulations of this run."""
    if step.batch is None:
        run = Run()
    lora = run.once(("lora", step.x.device), partial(_lora, run, step))
    modulations = partial(_modulations, settings, step, lora)
    # A hook may change the weights from step to step.
    hooked = getattr(step.model.current_patcher, "current_hooks", None) is not None
    reuse, keep = kept_keys(settings, run, step)
    return MaskPass(
        tokens=mask_tokens(settings, run, step) if reuse is None else step.x.new_empty(len(step.x), 0, TOKEN_WIDTH),
        modulations=modulations() if hooked else run.once(("modulations", step.batch), modulations),
        lora=lora,
        options=dataclasses.replace(settings.options, strength=settings.strength),
        separate_calls=settings.separate_calls,
        texts=heard_texts(run, step),
        mask_tokens=settings.mask_tokens,
        keep=keep,
        reuse=reuse,
        foreign=run.once("foreign", lambda: foreign_blocks(step.model.diffusion_model)),
    )


def mask_tokens(settings: MaskSettings, run: Run, step: Step) -> Tensor:
    """The blended experts (B, M, 64): what they say of the masks once a run, the gate at each step."""
    network = run.once(("network", step.x.device), lambda: resident(step.additional_model(NETWORK), step.x.device))
    dtype = next(network.parameters(), step.x).dtype
    own = mask_grid(settings.mask_tokens, step.grid)

    def experts() -> tuple[Tensor, Tensor]:
        masks = pack(step.latents.to(step.x.device, dtype).unflatten(1, (NUM_MASKS, -1)))
        masks = resize_tokens(masks, step.grid, own)
        return network.expert_outputs(masks), masks[:, 0]

    outputs, full_mask = run.once(("experts", step.batch), experts)
    noisy = pack(step.model.model_sampling.calculate_input(step.sigma, step.x).to(dtype))
    noisy = thin_tokens(noisy, step.grid, own)
    timestep = step.sigma * 1000 if settings.gate_timestep == "sampling" else step.sigma
    weights = network.gate_weights(full_mask, noisy, timestep)
    if weights is not None and settings.record is not None:
        chunks = tuple(step.options.get("cond_or_uncond", ()))
        settings.record.add(GateStep(step.sigma, weights, own, chunks))
    return network.blend(outputs, weights, region_factors(settings.regions, run, step))


def resident(network: MoGLE, device: torch.device) -> MoGLE:
    """The network on this device.

    With its memory budget spent (`--novram`, lowvram) ComfyUI leaves a module behind whose layers are not of
    its own kind; a copy of these few weights for the run costs less than moving them at each step.
    """
    weights = network.state_dict()
    if all(weight.device == device for weight in weights.values()):
        return network
    with torch.device("meta"):
        copy = MoGLE(network.config)
    copy.load_state_dict({name: weight.to(device) for name, weight in weights.items()}, assign=True)
    return copy.requires_grad_(False)


def region_factors(regions: tuple[Region, ...], run: Run, step: Step) -> Tensor | None:
    """Region Control's factors (20,) on the gate's weights now; None if all are 1."""
    active = tuple(step.within(region.start_percent, region.end_percent) for region in regions)

    def factors() -> Tensor | None:
        found = strengths(regions, active)
        return None if found is None else found.to(step.x.device)

    return run.once(("regions", active, step.x.device), factors)


def mask_vector(transformer: Any, batch: int, conds: Mapping[str, Any], like: Tensor, guidance: float | None) -> Tensor:
    """The mask stream's modulation vector (B, H): timestep 0, guidance and pooled text."""
    vec = transformer.time_in(timestep_embedding(mask_timestep(batch, like), 256).to(like.dtype))
    given = conds.get("guidance")
    if transformer.params.guidance_embed and given is not None:
        level = given.to(like) if guidance is None else torch.full_like(given, guidance).to(like)
        vec = vec + transformer.guidance_in(timestep_embedding(level, 256).to(like.dtype))
    width = transformer.params.vec_in_dim
    pooled = conds.get("y")
    pooled = like.new_zeros(batch, width) if pooled is None else pooled[:, :width].to(like)
    vec = vec + transformer.vector_in(pooled)
    return vec


def mask_timestep(batch: int, like: Tensor) -> Tensor:
    """Mask tokens are always clean: time 0, (B,)."""
    return like.new_zeros(batch)


def _modulations(settings: MaskSettings, step: Step, lora: Mapping[str, LowRank]) -> dict[str, Tensor]:
    transformer = step.model.diffusion_model
    like = torch.empty(0, dtype=compute_dtype(step.model), device=step.x.device)
    vec = mask_vector(transformer, len(step.x), step.conds, like, settings.guidance)
    return mask_modulations(transformer, vec, lora)


def _lora(run: Run, step: Step) -> dict[str, LowRank]:
    fused: FusedLoRA | None = step.additional_model(LORA) or step.additional_model(FILES_LORA)
    if fused is None:
        run.warn(
            "The mask stream has no LoRA, so FLUX does not know what to do with it: put LoRA Apply with "
            "Face-MoGLE's pytorch_lora_weights.safetensors before the sampler."
        )
        return {}
    # To where it belongs already, unless ComfyUI left it behind (see `resident`).
    return {name: LowRank(*(t.to(step.x.device) for t in pair)) for name, pair in fused.low_rank().items()}
