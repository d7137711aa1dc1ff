"""What one forward pass needs of the mask: gate and tokens of this step, the rest computed once a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial

import torch
from comfy.ldm.flux.layers import timestep_embedding
from torch import Tensor

from ...mogle_core.model.flux_latents import LATENT_CHANNELS, TOKEN_WIDTH, pack
from ...mogle_core.model.mixture.gate_record import GateStep
from ...mogle_core.model.mixture.network import MoGLE
from ...mogle_core.model.mixture.regions import Region, strengths
from ...mogle_core.model.sampling.gated_mask import GatedMask
from ...mogle_core.model.stream.condition import MaskCondition
from ...mogle_core.model.stream.lora import FusedLoRA, LowRank
from ...mogle_core.model.stream.mask_tokens import mask_grid, mask_modulations
from ...mogle_core.model.stream.merged_tokens import Merged, merge_squares
from ...mogle_core.model.stream.modulation import BLIND_GUIDANCE, mask_vector
from .blocks import Visits
from .foreign_blocks import Key, foreign_blocks
from .kept_keys import kept_keys
from .region_texts import active_texts
from .runs import NETWORK, MaskSettings, Run, Step
from .static_keys import static_keys
from .versions import compute_dtype

# The names of the LoRA among a model's additional models.
LORA = "mogle_lora"
FILES_LORA = "mogle_lora_of_file"  # from a combined file, for as long as no LoRA Apply brings another


@dataclass(frozen=True)
class MaskPass:
    """What one forward pass needs of the mask, and where it notes what came of it.

    It is handed over as an argument of the model: a compiled model checks its arguments, but not its
    transformer_options, and would run on without the mask.

    foreign: the blocks that another extension put in the place of FLUX's.
    """

    mask: MaskCondition
    foreign: Mapping[Key, str] = field(default_factory=dict)
    visits: Visits = field(default_factory=Visits)


def mask_pass(settings: MaskSettings, run: Run, step: Step) -> MaskPass:
    """This step's mask and the blocks of this run's model."""
    if run.foreign is None:
        run.foreign = foreign_blocks(step.model.diffusion_model)
    return MaskPass(mask_condition(settings, run, step), run.foreign)


def mask_condition(settings: MaskSettings, run: Run, step: Step) -> MaskCondition:
    """Gate and mask tokens of this step; expert outputs, LoRA and modulations of this run."""
    if not step.named:
        run = Run()
    lora = run.loras.get(step.x.device, partial(_lora, run, step))
    modulations = partial(_modulations, settings, step, lora)
    # A hook may change the weights from step to step.
    hooked = getattr(step.model.current_patcher, "current_hooks", None) is not None
    tokens = cache(lambda: mask_tokens(settings, run, step))
    mask = MaskCondition(
        tokens=step.x.new_empty(len(step.x), 0, TOKEN_WIDTH),
        grid=mask_grid(settings.mask_tokens, step.grid),
        lora=lora,
        options=settings.stream_options(),
        texts=active_texts(run, step),
        modulations=modulations() if hooked else run.modulations.get(step.batch, modulations),
        separate_calls=settings.separate_calls,
        absent=step.absent,
        merged=merged_tokens(settings, run, step),
    )
    reuse = static_keys(settings, run, step, mask, tokens) if settings.static else None
    keep = None
    if reuse is None:
        reuse, keep = kept_keys(settings, run, step, tokens, mask.merged)
    elif settings.record is not None:
        tokens()  # notes the gate's weights
    return dataclasses.replace(mask, tokens=tokens() if reuse is None else mask.tokens, keep=keep, reuse=reuse)


def mask_tokens(settings: MaskSettings, run: Run, step: Step) -> Tensor:
    """The blended experts (B, M, 64): the experts run once a run, the gate at each step."""
    network = run.networks.get(step.x.device, lambda: resident(step.additional_model(NETWORK), step.x.device))
    dtype = next(network.parameters(), step.x).dtype

    def experts() -> GatedMask:
        masks = pack(torch.unflatten(step.latents.to(step.x.device, dtype), 1, (-1, LATENT_CHANNELS)))
        return GatedMask.of(network, masks, step.grid, settings.mask_tokens)

    mask = run.masks.get(step.batch, experts)
    noisy = pack(step.model.model_sampling.calculate_input(step.sigma, step.x).to(dtype))
    weights = mask.gate(noisy, step.sigma, settings.gate_timestep)
    if weights is not None and settings.record is not None:
        chunks = tuple(step.options.get("cond_or_uncond", ()))
        settings.record.add(GateStep(step.sigma, weights, mask.grid, chunks))
    return mask.blend(weights, region_factors(settings.regions, run, step, network.config.extra))


def merged_tokens(settings: MaskSettings, run: Run, step: Step) -> Merged | None:
    """How the mask tokens of this batch are merged; None if none of them are."""
    cells = step.cells
    if settings.mask_tokens != "merged" or cells is None:
        return None
    return run.merged.get(step.batch, lambda: merge_squares(cells, step.grid, step.x.device))


def resident(network: MoGLE, device: torch.device) -> MoGLE:
    """The network on this device.

    When its memory budget is spent (`--novram`, lowvram), ComfyUI leaves modules behind whose layers are not of its
    classes. Copying these few weights once a run costs less than moving them at each step.
    """
    weights = network.state_dict()
    if all(weight.device == device for weight in weights.values()):
        return network
    with torch.device("meta"):
        copy = MoGLE(network.config)
    copy.load_state_dict({name: weight.to(device) for name, weight in weights.items()}, assign=True)
    return copy.requires_grad_(False)


def region_factors(regions: tuple[Region, ...], run: Run, step: Step, extra: tuple[str, ...] = ()) -> Tensor | None:
    """Region Control's factors on the gate's weights now; None if all are 1. extra: the network's."""
    active = tuple(step.within(region.start_percent, region.end_percent) for region in regions)

    def factors() -> Tensor | None:
        values = strengths(regions, active, extra)
        return None if values is None else values.to(step.x.device)

    return run.region_factors.get((active, step.x.device), factors)


def _modulations(settings: MaskSettings, step: Step, lora: Mapping[str, LowRank]) -> dict[str, Tensor]:
    transformer, params = step.model.diffusion_model, step.model.diffusion_model.params
    like = torch.empty(0, dtype=compute_dtype(step.model), device=step.x.device)
    pooled, guidance = step.conds.get("y"), step.conds.get("guidance")
    if settings.pooled is not None:
        pooled, guidance = settings.pooled[None], torch.full((1,), BLIND_GUIDANCE)
    if pooled is None:
        pooled = like.new_zeros(len(step.x), params.vec_in_dim)
    pooled = pooled[:, : params.vec_in_dim].to(like)
    guidance = guidance.to(like) if params.guidance_embed and guidance is not None else None
    own = settings.guidance if settings.pooled is None else None
    vec = mask_vector(transformer, pooled, guidance, timestep_embedding, own)
    return mask_modulations(transformer, vec, lora)


def _lora(run: Run, step: Step) -> dict[str, LowRank]:
    fused: FusedLoRA | None = step.additional_model(LORA) or step.additional_model(FILES_LORA)
    if fused is None:
        run.warn(
            "The mask stream has no LoRA, so FLUX does not know what to do with it: put LoRA Apply with "
            "Face-MoGLE's pytorch_lora_weights.safetensors before the sampler."
        )
        return {}
    # A no-op unless ComfyUI left the weights behind (see `resident`).
    return {name: LowRank(*(t.to(step.x.device) for t in pair)) for name, pair in fused.low_rank().items()}
