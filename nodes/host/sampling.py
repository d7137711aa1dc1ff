"""ComfyUI's wrappers around sampling: where the mask comes in, once a run, once a step, and in each forward pass."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from ...mogle_core.model.flux_latents import token_grid
from ...mogle_core.model.stream.mask_stream import open_stream
from .blocks import Visits, with_replaced_blocks
from .comparing import absent_rows, is_masked, made_comparable, tell_lost_guidance
from .conditioning import CELLS, MASK_LATENTS, PRESENT, check_same_size
from .kept_keys import extra_columns, log_savings, tokens_of
from .models import in_place_of_flux
from .passes import MaskPass, mask_pass
from .region_texts import join_texts, take_region_texts
from .runs import MaskSettings, Run, Step
from .versions import image_positions, outliving

logger = logging.getLogger(__name__)

# The names of a run's place among transformer_options, and of the mask among the arguments of the model.
RUN = "mogle_run"
MASK_PASS = "mogle_mask"


def outer_sample(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One run: a place for what is computed once, and a word if the mask never came into play."""
    options = executor.class_obj.model_options["transformer_options"]
    options[RUN] = run = Run()
    made: list[Tensor] = []
    if settings.record is not None:
        settings.record.start()
        args, estimates = noting_estimates(args)
    try:
        result = executor(*args, **kwargs)
        if settings.record is not None:
            # A sampler's `output`, and its `denoised_output`.
            picture = executor.class_obj.model_patcher.model.process_latent_out
            made = [result, *(picture(estimate.cpu()) for estimate in estimates.values())]
    finally:
        options.pop(RUN, None)
        run.close()
        if settings.record is not None:
            settings.record.finish(*made)
    warn_of_no_effect(run)
    log_savings(run)
    return result


def noting_estimates(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Tensor]]:
    """The run's arguments with a callback that keeps the last step's estimate of the picture, and where it is kept."""
    estimates: dict[str, Tensor] = {}
    callback = args[5] if len(args) > 5 else None
    if callback is None:
        return args, estimates

    def noting(step: int, estimate: Tensor, *rest: Any) -> Any:
        estimates["last"] = estimate
        return callback(step, estimate, *rest)

    return (*args[:5], noting, *args[6:]), estimates


def warn_of_no_effect(run: Run) -> None:
    """A warning if a run's mask had no effect. Judged at its end: a cache may well skip single steps."""
    if not run.masked:
        run.warn(
            "Gated Condition patched this model, but no conditioning that was sampled carries a mask: connect "
            "its positive output to the sampler."
        )
    elif run.swallowed_by and not run.seen:
        run.warn(
            f"No block of this model saw the mask, so it had no effect: {run.swallowed_by} runs in the place of "
            "FLUX.1's own forward pass or of its blocks. Remove the node that put it there; restart ComfyUI if it "
            "changed the model for good."
        )


def prepare_sampling(
    settings: MaskSettings, executor: Any, model: Any, noise_shape: Any, conds: Any, *args: Any, **kwargs: Any
) -> Any:
    """The mask adds to the image's tokens: say so where ComfyUI asks how much memory will be needed."""
    conds = made_comparable(conds, (kwargs.get("model_options") or model.model_options)["transformer_options"])
    entries = [entry for conditioning in conds.values() for entry in conditioning]
    if any(map(is_masked, entries)):
        tell_more_masks(entries, noise_shape[0])
        columns = extra_columns(settings, model, noise_shape, entries)
        noise_shape = [*noise_shape[:-1], noise_shape[-1] + columns]
    return executor(model, noise_shape, conds, *args, **kwargs)


def tell_more_masks(entries: list[dict[str, Any]], pictures: int) -> None:
    """A batch that is sampled in parts takes the first masks for every part: the parts do not say which they are."""
    masks = max(len(entry["model_conds"][MASK_LATENTS].cond) for entry in entries if is_masked(entry))
    if masks > pictures:
        logger.warning(
            "Gated Condition's mask is a batch of %d, and this sampler makes %d at once, with the first of the masks. "
            "To give each part of a batch its own masks (Rebatch Latents, Latent From Batch), connect that part to "
            "MoGLE Encode's latent.",
            masks,
            pictures,
        )


def apply_model(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One step of the model on one batch of conditionings: hands the mask on if there is one now."""
    latents, cells, texts = kwargs.pop(MASK_LATENTS, None), kwargs.pop(CELLS, None), take_region_texts(kwargs)
    absent = absent_rows(kwargs.pop(PRESENT, None), args[0].device)
    if latents is None or (absent is not None and bool(absent.all())):
        return executor(*args, **kwargs)
    options = args[5] if len(args) > 5 else kwargs["transformer_options"]
    inside = options.get(RUN)
    run = inside or Run()
    run.masked = True
    cells = None if cells is None else cells[:, 0]
    step = Step(executor.class_obj, args[0], args[1], latents, options, kwargs, texts, absent, cells)
    tell_lost_guidance(run, options)
    run.shape, kind, given = step.model.diffusion_model.params, "without", None
    settings = settings.at(step, run)
    if settings.strength > 0 and step.within(settings.start_percent, settings.end_percent):
        check_same_size(latents, step.x)
        with outliving():  # what is computed once a run, and the gate's record
            given = kwargs[MASK_PASS] = mask_pass(settings, run, step)
        kind = "whole" if given.mask.reuse is None else "reused"
    run.passes.append(tokens_of(settings, step, kind, None if given is None else given.mask.merged))
    result = executor(*args, **kwargs)
    if given is not None:
        note_visits(run, step, given.visits)
    if inside is None:
        warn_of_no_effect(run)
    return result


def note_visits(run: Run, step: Step, visits: Visits) -> None:
    """What a forward pass did with the mask it was handed."""
    run.seen = run.seen or visits.blocks > 0
    if not run.seen:
        run.swallowed_by = in_place_of_flux(step.model.diffusion_model, step.options)
    for theirs in sorted(visits.lost):
        run.warn(
            f"Another extension's blocks ({theirs}) have no effect beside the mask: their attention cannot be joined "
            "from outside, so FLUX.1's own blocks run in their place. Use one of the two."
        )


def diffusion_model(settings: MaskSettings, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """One forward pass: with a mask, through blocks that carry its stream."""
    given: MaskPass | None = kwargs.pop(MASK_PASS, None)
    if given is None:
        return executor(*args, **kwargs)
    transformer, x = executor.class_obj, args[0]
    args, kwargs, text = join_texts(given.mask.texts, args, kwargs)
    named = "transformer_options" in kwargs
    options = kwargs["transformer_options"] if named else args[7]
    grid = token_grid(*x.shape[-2:])
    positions = image_positions(transformer, x, options)
    stream = open_stream(transformer, given.mask.to(x.dtype), positions, grid, transformer.pe_embedder, text)
    stream.outliving = outliving
    options = with_replaced_blocks(transformer, stream, options, given.foreign, given.visits)
    if named:
        kwargs["transformer_options"] = options
    else:
        args = (*args[:7], options, *args[8:])
    result = executor(*args, **kwargs)
    given.visits.blocks = stream.blocks
    return result
