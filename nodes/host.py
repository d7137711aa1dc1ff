"""ComfyUI's ways of patching a model, and what its versions do differently: all of it is here.

Weights are on the MODEL: network and LoRA are small modules in patchers of their own, so that ComfyUI
loads, offloads and counts them. Masks are on the CONDITIONING, so that batches, areas, time ranges and a
negative without a mask work as everywhere. They meet during sampling, in four wrappers:

OUTER_SAMPLE      one run begins: what is computed once a run has a place, and dies with the run.
PREPARE_SAMPLING  the mask's tokens are reported, which ComfyUI's memory estimate does not see.
APPLY_MODEL       one step, outside of any compiled region: is the mask active now, what does the gate say.
DIFFUSION_MODEL   one forward pass: the blocks are replaced, in a copy of its options only.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

import comfy.conds
import comfy.ldm.flux.math
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import torch
from comfy.ldm.flux.layers import DoubleStreamBlock, timestep_embedding
from comfy.patcher_extension import WrappersMP
from comfy_api.latest import io
from torch import Tensor

from ..mogle_core import flux as plain_flux
from ..mogle_core.encode import DOWNSCALE, MaskLatents
from ..mogle_core.gates import GateRecord, GateStep
from ..mogle_core.lora import FusedLoRA, LowRank, MaskLoRA
from ..mogle_core.network import NUM_MASKS, MoGLE, pack
from ..mogle_core.regions import Region, strengths
from ..mogle_core.stream import (
    Attend,
    MaskStream,
    StreamOptions,
    double_block,
    embed_tokens,
    mask_modulations,
    single_block,
)

logger = logging.getLogger(__name__)

ModelPatcher: TypeAlias = Any
Conditioning: TypeAlias = list[list[Any]]
T = TypeVar("T")

NETWORK = "mogle"
LORA = "mogle_lora"
WRAPPERS = "mogle"
RUN = "mogle_run"
MASK_LATENTS = "mogle_mask_latents"
MASK_PASS = "mogle_mask"


@dataclass(frozen=True)
class MaskSettings:
    """Everything that Gated Condition sets; travels with the model, never changes."""

    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    regions: tuple[Region, ...] = ()
    gate_timestep: str = "sampling"
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    separate_calls: bool = False
    masks: slice = field(default_factory=lambda: slice(0, NUM_MASKS))
    record: GateRecord = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "record", GateRecord(masks=self.masks))


@dataclass
class Run:
    """One sampling run: what is computed once, by what it depends on."""

    kept: dict[Hashable, Any] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    masked: bool = False

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


# Attaching -----------------------------------------------------------------------------------------------


def patcher(module: torch.nn.Module, loader: tuple[Callable[..., Any], tuple[Any, ...]]) -> ModelPatcher:
    """A small module under ComfyUI's memory management.

    loader: a function and its arguments that make the patcher anew, for ComfyUI's multi-GPU (0.23 on).
    """
    kind = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)  # 0.12 on
    made = kind(
        module,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    if hasattr(made, "cached_patcher_init"):
        made.cached_patcher_init = loader
    return made


def attach(model: ModelPatcher, mogle: Any, settings: MaskSettings) -> ModelPatcher:
    """A clone of the model with network and wrappers; a Gated Condition before this one is replaced."""
    refuse_other_models(model, "Gated Condition")
    patched = model.clone()
    patched.set_additional_models(NETWORK, [mogle.patcher])
    if mogle.lora is not None and not patched.get_additional_models_with_key(LORA):
        patched = attach_lora(patched, mogle.lora, 1.0, mogle.path)
    wrappers = {
        WrappersMP.OUTER_SAMPLE: outer_sample,
        WrappersMP.PREPARE_SAMPLING: prepare_sampling,
        WrappersMP.APPLY_MODEL: apply_model,
        WrappersMP.DIFFUSION_MODEL: diffusion_model,
    }
    for kind, wrapper in wrappers.items():
        patched.remove_wrappers_with_key(kind, WRAPPERS)
        patched.add_wrapper_with_key(kind, WRAPPERS, partial(wrapper, settings))
    return patched


def attach_lora(model: ModelPatcher, lora: MaskLoRA, strength: float, path: str) -> ModelPatcher:
    """A clone of the model with this LoRA for its mask stream, in the model's dtype."""
    refuse_other_models(model, "LoRA Apply")
    check_lora(model.model.diffusion_model, lora)
    dtype = compute_dtype(model.model)
    patched = model.clone()
    loader = (lora_patcher, (path, dtype, strength))
    patched.set_additional_models(LORA, [patcher(FusedLoRA(lora, dtype, strength), loader)])
    return patched


def lora_patcher(
    path: str, dtype: torch.dtype, strength: float, disable_dynamic: bool = False
) -> ModelPatcher:
    """The LoRA once more, for another device."""
    from ..mogle_core.weights import read_lora

    loader = (lora_patcher, (path, dtype, strength))
    return patcher(FusedLoRA(read_lora(path).lora, dtype, strength), loader)


def with_mask(conditioning: Conditioning, masks: MaskLatents) -> Conditioning:
    """The conditioning with the mask latents in each entry's `model_conds`."""
    # Dim 0 is the batch and the last two are the latent's, so that ComfyUI repeats and crops them.
    latents = MaskCond(masks.latents.flatten(1, 2))
    return [
        [text, {**entry, "model_conds": {**entry.get("model_conds", {}), MASK_LATENTS: latents}}]
        for text, entry in conditioning
    ]


def empty_conditioning(conditioning: Conditioning) -> Conditioning:
    """Zeros in place of text: a negative for samplers that want one where guidance does not use it."""
    return [
        [torch.zeros_like(text), {"pooled_output": torch.zeros_like(entry["pooled_output"])}]
        if entry.get("pooled_output") is not None
        else [torch.zeros_like(text), {}]
        for text, entry in conditioning
    ]


class MaskCond(comfy.conds.CONDNoiseShape):
    """Mask latents (B, 20 * 16, H, W), cropped with the noise where a conditioning has an area.

    A mask that was encoded at the area's own size is the area's mask and is not cropped.
    """

    def process_cond(self, batch_size: int, area: Any = None, **rest: Any) -> MaskCond:
        if area is not None:
            dims = len(area) // 2
            size, start = tuple(area[:dims]), area[dims:]
            if tuple(self.cond.shape[2:]) == size:
                area = None
            elif any(s + n > have for s, n, have in zip(start, size, self.cond.shape[2:], strict=True)):
                raise ValueError(
                    f"The mask was encoded at {_pixels(self.cond)}, but its area reaches "
                    f"{(start[1] + size[1]) * DOWNSCALE} x {(start[0] + size[0]) * DOWNSCALE}. Set MoGLE "
                    "Encode's width and height to the whole picture's, or to the area's."
                )
        return super().process_cond(batch_size=batch_size, area=area, **rest)


# Refusing ------------------------------------------------------------------------------------------------


def refuse_other_models(model: ModelPatcher, node: str) -> None:
    """Raises ValueError for a model that is not FLUX.1, with what it is."""
    found = type(model.model).__name__
    transformer = getattr(model.model, "diffusion_model", None)
    advice = f"{node} works with FLUX.1 (flux1-dev in Load Diffusion Model, or its GGUF loader)"
    if "Comfy" in type(transformer).__name__ and not hasattr(transformer, "double_blocks"):
        raise ValueError(
            f"This model is run by another engine ({type(transformer).__name__}, such as nunchaku's), whose "
            f"blocks cannot take the mask stream. {advice}."
        )
    if not isinstance(model.model, comfy.model_base.Flux) or not hasattr(transformer, "double_blocks"):
        raise ValueError(f"This model is {found}, not FLUX.1. {advice}.")
    params = transformer.params
    if getattr(params, "global_modulation", False) or not hasattr(transformer.double_blocks[0], "img_mod"):
        raise ValueError(
            f"This model is of FLUX.2's family ({found}): one modulation serves all its blocks. {advice}."
        )
    channels = getattr(transformer.img_in, "in_features", 64)
    if channels != 64:
        raise ValueError(
            f"This FLUX.1 takes {channels // 4} latent channels (a Fill, Canny or Depth model), and mask tokens "
            f"have 16. {advice}."
        )


def check_lora(transformer: Any, lora: MaskLoRA) -> None:
    """Raises ValueError for a LoRA that was made for a transformer of other sizes."""
    width = transformer.params.hidden_size
    if lora.width != width:
        raise ValueError(
            f"The LoRA was made for a model of width {lora.width}; this one has {width}. Choose another file in "
            "LoRA Apply, or connect the model that it was trained on."
        )
    present = dict(transformer.named_modules())
    if missing := [name for name in lora.rows if name not in present]:
        raise ValueError(
            f"The LoRA acts on {missing[0]} and this model has no such layer ({len(transformer.double_blocks)} "
            f"double and {len(transformer.single_blocks)} single blocks): it was made for another FLUX."
        )


# Sampling ------------------------------------------------------------------------------------------------


def outer_sample(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One run: a place for what is computed once, and a word if the mask never came into play."""
    options = executor.class_obj.model_options["transformer_options"]
    options[RUN] = run = Run()
    settings.record.start()
    try:
        result = executor(*args, **kwargs)
    finally:
        options.pop(RUN, None)
        settings.record.finish()
    if not run.masked:
        logger.warning(
            "Gated Condition patched this model, but no conditioning that was sampled carries a mask: connect "
            "its positive output to the sampler."
        )
    return result


def prepare_sampling(
    settings: MaskSettings, executor: Any, model: Any, noise_shape: Any, conds: Any, *args: Any, **kwargs: Any
) -> Any:
    """The mask doubles the image's tokens: say so where ComfyUI asks how much memory will be needed."""
    entries = [entry for conditioning in conds.values() for entry in conditioning]
    if any(MASK_LATENTS in entry.get("model_conds", {}) for entry in entries):
        noise_shape = [*noise_shape[:-1], 2 * noise_shape[-1]]
    return executor(model, noise_shape, conds, *args, **kwargs)


def apply_model(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One step of the model on one batch of conditionings: hands the mask on if there is one now."""
    latents = kwargs.pop(MASK_LATENTS, None)
    if latents is None:
        return executor(*args, **kwargs)
    options = args[5] if len(args) > 5 else kwargs["transformer_options"]
    run = options.get(RUN) or Run()
    run.masked = True
    if not _active(executor.class_obj, args[1], settings.start_percent, settings.end_percent):
        return executor(*args, **kwargs)
    kwargs[MASK_PASS] = mask_pass(settings, run, executor.class_obj, args[0], args[1], latents, options, kwargs)
    return executor(*args, **kwargs)


def mask_pass(
    settings: MaskSettings,
    run: Run,
    model: Any,
    x: Tensor,
    sigma: Tensor,
    latents: Tensor,
    options: Mapping[str, Any],
    conds: Mapping[str, Any],
) -> MaskPass:
    """Gate and mask tokens of this step; expert outputs and modulations of this run.

    x: (B, 16, H, W). sigma: (B,). latents: (B, 20 * 16, H, W). conds: the conditioning's other tensors.
    """
    check_same_size(latents, x)
    network: MoGLE = model.current_patcher.get_additional_models_with_key(NETWORK)[0].model
    dtype = next(network.parameters(), x).dtype
    # The conditionings of a batch stand by their uuid; with areas, one uuid may come with another crop.
    batch = (tuple(options.get("uuids", ())), tuple(x.shape), x.device)
    if not batch[0]:
        run = Run()

    def experts() -> tuple[Tensor, Tensor]:
        masks = latents.to(x.device, dtype).unflatten(1, (NUM_MASKS, -1))
        return network.expert_outputs(pack(masks)), pack(masks[:, 0])

    outputs, full_mask = run.once(("experts", batch), experts)
    noisy = pack(model.model_sampling.calculate_input(sigma, x).to(dtype))
    timestep = sigma * 1000 if settings.gate_timestep == "sampling" else sigma
    weights = network.gate_weights(full_mask, noisy, timestep)
    if weights is not None:
        grid = (x.shape[-2] // 2, x.shape[-1] // 2)
        settings.record.add(GateStep(sigma, weights, grid, tuple(options.get("cond_or_uncond", ()))))
    active = tuple(r.always or _active(model, sigma, r.start_percent, r.end_percent) for r in settings.regions)
    factors = run.once(("strengths", active, x.device), lambda: _on(strengths(settings.regions, active), x))

    lora = run.once(("lora", x.device), lambda: _lora(run, model))
    modulations = partial(_modulations, settings, model, lora, conds, len(x), x.device)
    # A hook may change the weights from step to step.
    hooked = getattr(model.current_patcher, "current_hooks", None) is not None
    return MaskPass(
        tokens=network.blend(outputs, weights, factors),
        modulations=modulations() if hooked else run.once(("modulations", batch), modulations),
        lora=lora,
        options=dataclasses.replace(settings.options, strength=settings.strength),
        separate_calls=settings.separate_calls,
    )


def diffusion_model(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One forward pass: with a mask, through blocks that carry its stream."""
    mask: MaskPass | None = kwargs.pop(MASK_PASS, None)
    if mask is None:
        return executor(*args, **kwargs)
    transformer, (x, *rest) = executor.class_obj, args
    named = "transformer_options" in kwargs
    options = kwargs["transformer_options"] if named else args[7]
    stream = open_stream(transformer, mask, x, options)
    options = with_replaced_blocks(transformer, stream, options)
    if named:
        kwargs["transformer_options"] = options
    else:
        args = (*args[:7], options, *args[8:])
    result = executor(*args, **kwargs)
    if stream.blocks == 0:
        logger.warning(
            "No block of this model saw the mask: another extension replaced %s without calling on. Remove it, or "
            "put Gated Condition after it.",
            "the model's forward pass or its blocks",
        )
    return result


def open_stream(transformer: Any, mask: MaskPass, x: Tensor, options: Mapping[str, Any]) -> MaskStream:
    """The mask stream of this pass, at the image's positions."""
    lora = {name: LowRank(*(t.to(x.dtype) for t in pair)) for name, pair in mask.lora.items()}
    return MaskStream(
        tokens=embed_tokens(transformer, mask.tokens.to(x.dtype), lora),
        modulations={name: tensor.to(x.dtype) for name, tensor in mask.modulations.items()},
        rotary=transformer.pe_embedder(image_positions(transformer, x, options)),
        lora=lora,
        options=mask.options,
        separate_calls=mask.separate_calls,
    )


def image_positions(transformer: Any, x: Tensor, options: Mapping[str, Any]) -> Tensor:
    """The image tokens' position ids (B, N, axes), by the host itself: rope options and all."""
    takes_options = "transformer_options" in inspect.signature(transformer.process_img).parameters  # 0.3.69 on
    extra = {"transformer_options": options} if takes_options else {}
    ids: Tensor = transformer.process_img(x, **extra)[1]
    return ids


def with_replaced_blocks(transformer: Any, stream: MaskStream, options: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of transformer_options whose block replacements carry the stream.

    A replacement that is already there is called with ours as its original block.
    """
    replace = options.get("patches_replace", {})
    blocks = dict(replace.get("dit", {}))
    last = len(transformer.single_blocks) - 1
    ours: dict[tuple[str, int], Callable[..., Any]] = {
        ("double_block", i): partial(_double_block, block, f"double_blocks.{i}", stream)
        for i, block in enumerate(transformer.double_blocks)
    }
    for i, block in enumerate(transformer.single_blocks):
        name = f"single_blocks.{i}"
        ours["single_block", i] = partial(_single_block, block, name, stream, i == last)
    for key, block in ours.items():
        blocks[key] = partial(_chained, blocks[key], block) if key in blocks else block
    return {**options, "patches_replace": {**replace, "dit": blocks}}


def _chained(theirs: Callable[..., Any], ours: Callable[..., Any], args: Any, extra: Any) -> Any:
    return theirs(args, {**extra, "original_block": ours})


def _double_block(block: Any, name: str, stream: MaskStream, args: Any, extra: Any = None) -> dict[str, Any]:
    img, txt = args["img"], args["txt"]
    options = {**(args.get("transformer_options") or {})}
    options["img_slice"] = [txt.shape[1], txt.shape[1] + img.shape[1]]
    attend = attention(block, options)
    img, txt = double_block(
        block, name, img, txt, args["vec"], args["pe"], attend, args.get("attn_mask"), stream
    )
    return {"img": img, "txt": txt}


def _single_block(
    block: Any, name: str, stream: MaskStream, last: bool, args: Any, extra: Any = None
) -> dict[str, Any]:
    options = args.get("transformer_options") or {}
    # Patches of the attention's inputs may count on as many queries as keys.
    last = last and not options.get("patches", {}).get("attn1_patch")
    img = single_block(
        block,
        name,
        args["img"],
        args["vec"],
        args["pe"],
        attention(block, options),
        args.get("attn_mask"),
        stream,
        last,
    )
    return {"img": img}


# Attention -----------------------------------------------------------------------------------------------


def attention(block: Any, options: Mapping[str, Any]) -> Attend:
    """The host's attention with its rope, its choice of backend, and other extensions' patches."""
    patches = options.get("patches", {}) if _patches_attention() else {}
    extra = {"preferred_attention": getattr(block, "comfy_attention", None)} if _prefers_attention() else {}

    def attend(q: Tensor, k: Tensor, v: Tensor, pe: Tensor | None, mask: Tensor | None) -> Tensor:
        for patch in patches.get("attn1_patch", ()):
            out = patch(q, k, v, pe=pe, attn_mask=mask, extra_options=options)
            q, k, v = out.get("q", q), out.get("k", k), out.get("v", v)
            pe, mask = out.get("pe", pe), out.get("attn_mask", mask)
        if pe is not None and q.shape[2] != k.shape[2]:
            q, k, pe = rotate(q, pe[:, :, : q.shape[2]]), rotate(k, pe), None
        result = comfy.ldm.flux.math.attention(q, k, v, pe=pe, mask=mask, transformer_options=options, **extra)
        for patch in patches.get("attn1_output_patch", ()):
            result = patch(result, options)
        return result

    return attend


def rotate(x: Tensor, pe: Tensor) -> Tensor:
    """The rotary embedding that this host's attention would apply, to the bit."""
    if "apply_rope" in comfy.ldm.flux.math.attention.__code__.co_names:  # 0.3.69 on
        return comfy.ldm.flux.math.apply_rope1(x, pe)
    return plain_flux.rotate(x, pe)


@cache
def _patches_attention() -> bool:
    """Whether FLUX's own blocks call attention patches (0.14 on the output, 0.17 on the input)."""
    return "attn1_output_patch" in DoubleStreamBlock.forward.__code__.co_consts


@cache
def _prefers_attention() -> bool:
    """Whether a checkpoint may choose its attention (0.40 on)."""
    return "preferred_attention" in inspect.signature(comfy.ldm.flux.math.attention).parameters


# Small things --------------------------------------------------------------------------------------------


def newer_fields(**fields: Any) -> dict[str, Any]:
    """Those schema fields that this host knows (`search_aliases` from 0.11 on)."""
    known = {known.name for known in dataclasses.fields(io.Schema)}
    return {name: value for name, value in fields.items() if name in known}


def newer_input_fields(**fields: Any) -> dict[str, Any]:
    """Those input fields that this host knows (`advanced` from 0.10 on)."""
    known = inspect.signature(io.Boolean.Input.__init__).parameters
    return {name: value for name, value in fields.items() if name in known}


def compute_dtype(model: Any) -> torch.dtype:
    """The dtype in which the model computes, whatever its weights are stored in."""
    dtype: torch.dtype = model.manual_cast_dtype or model.get_dtype()
    return dtype


def check_same_size(latents: Tensor, x: Tensor) -> None:
    """The mask must have been encoded at the size that is sampled."""
    if latents.shape[-2:] != x.shape[-2:]:
        raise ValueError(
            f"The mask was encoded at {_pixels(latents)} but {_pixels(x)} are sampled (a second pass at another "
            "size, a tiled sampler, or another size in Empty Latent Image). Set MoGLE Encode's width and height "
            "to the sampled size, or connect the sampled latent to it."
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


def _modulations(
    settings: MaskSettings,
    model: Any,
    lora: Mapping[str, LowRank],
    conds: Mapping[str, Any],
    batch: int,
    device: torch.device,
) -> dict[str, Tensor]:
    like = torch.empty(0, dtype=compute_dtype(model), device=device)
    transformer = model.diffusion_model
    return mask_modulations(transformer, mask_vector(transformer, batch, conds, like, settings.guidance), lora)


def _lora(run: Run, model: Any) -> dict[str, LowRank]:
    found = model.current_patcher.get_additional_models_with_key(LORA)
    if not found:
        run.warn(
            "The mask stream has no LoRA, so FLUX does not know what to do with it: put LoRA Apply with "
            "Face-MoGLE's pytorch_lora_weights.safetensors before the sampler."
        )
        return {}
    fused: FusedLoRA = found[0].model
    return fused.low_rank()


def _active(model: Any, sigma: Tensor, start_percent: float, end_percent: float) -> bool:
    if start_percent <= 0 and end_percent >= 1:
        return True  # without asking the device for sigma's value
    sampling = model.model_sampling
    now = float(sigma.max())
    return sampling.percent_to_sigma(end_percent) <= now <= sampling.percent_to_sigma(start_percent)


def _on(tensor: Tensor | None, like: Tensor) -> Tensor | None:
    return None if tensor is None else tensor.to(like.device)


def _pixels(latents: Tensor) -> str:
    return f"{latents.shape[-1] * DOWNSCALE} x {latents.shape[-2] * DOWNSCALE} pixels"
