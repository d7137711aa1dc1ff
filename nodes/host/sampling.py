"""ComfyUI's wrappers around sampling: where the mask comes in, once a run, once a step, and in each forward pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...mogle_core.model.stream.blocks import MaskStream
from ...mogle_core.model.stream.lora import LowRank
from ...mogle_core.model.stream.mask_tokens import embed_tokens, mask_grid, spread_positions
from .blocks import with_replaced_blocks
from .conditioning import MASK_LATENTS, check_same_size
from .kept_keys import extra_columns, tell_savings, tokens_of
from .passes import MaskPass, mask_pass
from .region_texts import join_texts, take_region_texts
from .runs import MaskSettings, Run, Step
from .versions import image_positions

logger = logging.getLogger(__name__)

# The names of a run's place among transformer_options, and of the mask among the arguments of the model.
RUN = "mogle_run"
MASK_PASS = "mogle_mask"


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


def open_stream(transformer: Any, mask: MaskPass, x: Tensor, options: Mapping[str, Any], text: int) -> MaskStream:
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
