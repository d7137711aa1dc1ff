"""The mask during sampling: what is done once a run, once a step, and in each forward pass."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from comfy.ldm.flux.layers import timestep_embedding
from torch import Tensor

from ...mogle_core.attention import StreamOptions
from ...mogle_core.cost import Shape, Tokens
from ...mogle_core.gates import GateRecord, GateStep
from ...mogle_core.labels import NUM_MASKS
from ...mogle_core.lora import FusedLoRA, LowRank
from ...mogle_core.mask_tokens import (
    embed_tokens,
    mask_grid,
    mask_modulations,
    resize_tokens,
    spread_positions,
    thin_tokens,
)
from ...mogle_core.network import TOKEN_WIDTH, MoGLE, pack
from ...mogle_core.region_text import RegionText
from ...mogle_core.regions import Region, strengths
from ...mogle_core.reuse import Kept, Refresh
from ...mogle_core.stream import MaskStream
from .blocks import with_replaced_blocks
from .conditioning import MASK_LATENTS, check_same_size
from .prompts import JoinedTexts, heard_texts, join_texts, take_region_texts
from .reusing import extra_columns, kept_keys, tell_savings, tokens_of
from .versions import compute_dtype, image_positions

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The names of network and LoRA among a model's additional models, of a run's place among
# transformer_options, and of the mask among the arguments of the model.
NETWORK = "mogle"
LORA = "mogle_lora"
RUN = "mogle_run"
MASK_PASS = "mogle_mask"


@dataclass(frozen=True)
class MaskSettings:
    """Everything that Gated Condition sets; travels with the model.

    record: what the gate does is kept there, anew with each run; None keeps nothing.
    refresh, mask_tokens: exactness given away for speed; by default none.
    """

    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    regions: tuple[Region, ...] = ()
    gate_timestep: str = "sampling"
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    separate_calls: bool = False
    record: GateRecord | None = None
    refresh: Refresh = field(default_factory=Refresh)
    mask_tokens: str = "full"


@dataclass
class Run:
    """One sampling run: what is computed once, by what it depends on."""

    kept: dict[Hashable, Any] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    masked: bool = False
    passes: list[Tokens] = field(default_factory=list)
    shape: Shape | None = None

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        if key not in self.kept:
            self.kept[key] = compute()
        value: T = self.kept[key]
        return value

    def warn(self, sentence: str) -> None:
        if sentence not in self.warned:
            self.warned.add(sentence)
            logger.warning(sentence)


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


def outer_sample(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One run: a place for what is computed once, and a word if the mask never came into play."""
    options = executor.class_obj.model_options["transformer_options"]
    options[RUN] = run = Run()
    if settings.record is not None:
        settings.record.start()
    try:
        result = executor(*args, **kwargs)
    finally:
        options.pop(RUN, None)
        if settings.record is not None:
            settings.record.finish()
    if not run.masked:
        logger.warning(
            "Gated Condition patched this model, but no conditioning that was sampled carries a mask: connect "
            "its positive output to the sampler."
        )
    tell_savings(run)
    return result


def prepare_sampling(
    settings: MaskSettings, executor: Any, model: Any, noise_shape: Any, conds: Any, *args: Any, **kwargs: Any
) -> Any:
    """The mask adds to the image's tokens: say so where ComfyUI asks how much memory will be needed."""
    entries = [entry for conditioning in conds.values() for entry in conditioning]
    if masked := sum(MASK_LATENTS in entry.get("model_conds", {}) for entry in entries):
        columns = extra_columns(settings, model, noise_shape, masked)
        noise_shape = [*noise_shape[:-1], noise_shape[-1] + columns]
    return executor(model, noise_shape, conds, *args, **kwargs)


def apply_model(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One step of the model on one batch of conditionings: hands the mask on if there is one now."""
    latents, texts = kwargs.pop(MASK_LATENTS, None), take_region_texts(kwargs)
    if latents is None:
        return executor(*args, **kwargs)
    options = args[5] if len(args) > 5 else kwargs["transformer_options"]
    run = options.get(RUN) or Run()
    run.masked = True
    step = Step(executor.class_obj, args[0], args[1], latents, options, kwargs, texts)
    run.shape, kind = step.model.diffusion_model.params, "without"
    if step.within(settings.start_percent, settings.end_percent):
        check_same_size(latents, step.x)
        mask = kwargs[MASK_PASS] = mask_pass(settings, run, step)
        kind = "whole" if mask.reuse is None else "reused"
    run.passes.append(tokens_of(settings, step, kind))
    return executor(*args, **kwargs)


@dataclass(frozen=True)
class Step:
    """What ComfyUI hands to one step.

    x: (B, 16, H, W). sigma: (B,). latents: the masks', (B, 20 * 16, H, W). conds: the conditioning's other
    tensors, such as `y` and `guidance`. texts: the regions' own.
    """

    model: Any
    x: Tensor
    sigma: Tensor
    latents: Tensor
    options: Mapping[str, Any]
    conds: Mapping[str, Any]
    texts: JoinedTexts | None = None

    @property
    def batch(self) -> Hashable:
        """The conditionings of this batch, on this device; None if the sampler gave them no names."""
        uuids = tuple(self.options.get("uuids", ()))
        return (uuids, tuple(self.x.shape), self.x.device) if uuids else None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.x.shape[-2] // 2, self.x.shape[-1] // 2

    def additional_model(self, key: str) -> Any:
        """This device's copy of a module that travels with the model; None if there is none."""
        found = self.model.current_patcher.get_additional_models_with_key(key)
        return found[0].model if found else None

    def within(self, start_percent: float, end_percent: float) -> bool:
        """Whether the sampling is now between two of its percents."""
        if start_percent <= 0 and end_percent >= 1:
            return True  # without asking the device for sigma's value
        sampling, now = self.model.model_sampling, float(self.sigma.max())
        return sampling.percent_to_sigma(end_percent) <= now <= sampling.percent_to_sigma(start_percent)


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


def diffusion_model(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One forward pass: with a mask, through blocks that carry its stream."""
    mask: MaskPass | None = kwargs.pop(MASK_PASS, None)
    if mask is None:
        return executor(*args, **kwargs)
    transformer, x = executor.class_obj, args[0]
    args, kwargs, text = join_texts(mask.texts, args, kwargs)
    named = "transformer_options" in kwargs
    options = kwargs["transformer_options"] if named else args[7]
    stream = open_stream(transformer, mask, x, options, text)
    options = with_replaced_blocks(transformer, stream, options)
    if named:
        kwargs["transformer_options"] = options
    else:
        args = (*args[:7], options, *args[8:])
    result = executor(*args, **kwargs)
    if stream.blocks == 0:
        logger.warning(
            "No block of this model saw the mask: another extension replaced the model's forward pass or its "
            "blocks without calling on. Remove it, or put Gated Condition after it."
        )
    return result


def open_stream(
    transformer: Any, mask: MaskPass, x: Tensor, options: Mapping[str, Any], text: int
) -> MaskStream:
    """The mask stream of this pass, at the image's positions; `text` is how many tokens are text."""
    grid = (x.shape[-2] // 2, x.shape[-1] // 2)
    ids = spread_positions(image_positions(transformer, x, options), grid, mask_grid(mask.mask_tokens, grid))
    tokens, width = mask.tokens.to(x.dtype), transformer.params.hidden_size
    lora = {name: LowRank(*(t.to(x.dtype) for t in pair)) for name, pair in mask.lora.items()}
    return MaskStream(
        tokens=embed_tokens(transformer, tokens, lora) if mask.reuse is None else tokens.new_empty(len(x), 0, width),
        modulations={name: tensor.to(x.dtype) for name, tensor in mask.modulations.items()},
        rotary=transformer.pe_embedder(ids),
        lora=lora,
        options=mask.options,
        separate_calls=mask.separate_calls,
        texts=mask.texts,
        text=text,
        keep=mask.keep,
        reuse=mask.reuse,
    )


def mask_vector(
    transformer: Any, batch: int, conds: Mapping[str, Any], like: Tensor, guidance: float | None
) -> Tensor:
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
    fused: FusedLoRA | None = step.additional_model(LORA)
    if fused is None:
        run.warn(
            "The mask stream has no LoRA, so FLUX does not know what to do with it: put LoRA Apply with "
            "Face-MoGLE's pytorch_lora_weights.safetensors before the sampler."
        )
        return {}
    # To where it belongs already, unless ComfyUI left it behind (see `resident`).
    return {name: LowRank(*(t.to(step.x.device) for t in pair)) for name, pair in fused.low_rank().items()}
