"""Gated Condition's speed options in ComfyUI: whose keys a step reuses, the memory they take, what it all saved."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import comfy.model_management

from ...mogle_core.model.flux.cost import Tokens, share_of_whole
from ...mogle_core.model.flux_latents import token_grid
from ...mogle_core.model.stream.kept_keys import Kept, Reuse, kept_bytes, nearest
from ...mogle_core.model.stream.mask_tokens import mask_grid
from .versions import compute_dtype

if TYPE_CHECKING:
    from .runs import MaskSettings, Run, Step

logger = logging.getLogger(__name__)


def mask_count(settings: MaskSettings, grid: tuple[int, int]) -> int:
    """How many mask tokens a picture of this grid has."""
    return math.prod(mask_grid(settings.mask_tokens, grid))


def kept_keys(settings: MaskSettings, run: Run, step: Step) -> tuple[Kept | None, Kept | None]:
    """The keys that this step reuses, and where it is to leave its own; neither where every step is exact."""
    sigmas = step.options.get("sample_sigmas")
    if settings.refresh.every == 1 or sigmas is None or step.batch is None:
        return None, None
    if step.options.get("patches", {}).get("attn1_patch"):
        run.warn(
            "Another extension changes the attention's inputs and may count on as many queries as keys: "
            "refresh_every has no effect beside it."
        )
        return None, None
    # Asking the device for sigma's value waits for it, once a step, and only with this option.
    schedule: list[float] = run.once("sigmas", sigmas.tolist)
    transformer = step.model.diffusion_model
    blocks = len(transformer.double_blocks) + len(transformer.single_blocks)
    reuse: Reuse = run.once("reuse", lambda: Reuse(settings.refresh, blocks))
    known, place = reuse.at(step.batch, nearest(float(step.sigma.max()), schedule), len(schedule) - 1)
    if place is not None:
        run.once(("room", step.batch), lambda: _check_room(settings, step))
    return known, place


def extra_columns(settings: MaskSettings, model: Any, noise_shape: Any, masked: int) -> int:
    """The memory of the mask's tokens and of their kept keys, as so many more columns of latents.

    masked: how many conditionings have a mask. ComfyUI's estimate is linear in the latents' area.
    """
    batch, channels, height, width = noise_shape
    grid = token_grid(height, width)
    own = mask_count(settings, grid)
    columns = math.ceil(width * own / math.prod(grid))
    if settings.refresh.every > 1:
        column = model.model.memory_required([batch, channels, height, 1])
        columns += math.ceil(masked * _bytes(model.model, batch, own) / column)
    return columns


def tokens_of(settings: MaskSettings, step: Step, kind: str) -> Tokens:
    """The tokens of a pass: `whole`, `reused`, or `without` the mask."""
    text = step.conds["c_crossattn"].shape[1] if step.conds.get("c_crossattn") is not None else 0
    own, image = mask_count(settings, step.grid), math.prod(step.grid)
    return Tokens(text, image, mask=own if kind == "whole" else 0, kept=own if kind == "reused" else 0)


def tell_savings(run: Run) -> None:
    """What a time window or reused keys saved, in the log; nothing where every step ran with the whole mask."""
    whole = next((tokens for tokens in run.passes if tokens.mask), None)
    if run.shape is None or whole is None or all(tokens.mask for tokens in run.passes):
        return
    share = share_of_whole(run.shape, run.passes, whole)
    logger.info(
        "The mask stream ran in %d of %d passes, its kept keys served %d, and %d had none: %.0f %% of the "
        "operations of a run with it in all.",
        sum(tokens.mask > 0 for tokens in run.passes),
        len(run.passes),
        sum(tokens.kept > 0 for tokens in run.passes),
        sum(not tokens.mask and not tokens.kept for tokens in run.passes),
        100 * share,
    )


def _bytes(model: Any, batch: int, tokens: int) -> int:
    transformer = model.diffusion_model
    blocks = len(transformer.double_blocks) + len(transformer.single_blocks)
    itemsize = comfy.model_management.dtype_size(compute_dtype(model))
    return kept_bytes(blocks, batch, tokens, transformer.params.hidden_size, itemsize)


def _check_room(settings: MaskSettings, step: Step) -> None:
    needed = _bytes(step.model, len(step.x), mask_count(settings, step.grid))
    free = comfy.model_management.get_free_memory(step.x.device)
    if needed > free:
        raise ValueError(
            f"Gated Condition's refresh_every keeps {needed / 2**20:,.0f} MB of the mask's keys and values on "
            f"{step.x.device}, and {free / 2**20:,.0f} MB are free. Set refresh_every to 1, or make a smaller picture "
            "or batch."
        )
    logger.info("refresh_every keeps %.0f MB of the mask's keys and values.", needed / 2**20)
