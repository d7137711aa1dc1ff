"""Gated Condition's speed options in ComfyUI: which keys a step reuses, their memory, and what a run saved."""

from __future__ import annotations

import logging
import math
from typing import Any

import comfy.model_management

from ...mogle_core.model.flux.cost import Tokens, share_of_whole
from ...mogle_core.model.flux_latents import token_grid
from ...mogle_core.model.stream.kept_keys import Kept, Reuse, kept_bytes, nearest
from ...mogle_core.model.stream.mask_tokens import Grid, mask_grid
from ...mogle_core.model.stream.transformer import blocks_of
from .runs import MaskSettings, Run, Step
from .versions import compute_dtype

logger = logging.getLogger(__name__)


def mask_count(settings: MaskSettings, grid: Grid) -> int:
    """How many mask tokens a picture of this grid has."""
    return math.prod(mask_grid(settings.mask_tokens, grid))


def kept_keys(settings: MaskSettings, run: Run, step: Step) -> tuple[Kept | None, Kept | None]:
    """The keys that this step reuses, and where it stores its keys; neither where every step is exact."""
    sigmas = step.options.get("sample_sigmas")
    if settings.refresh.every == 1 or sigmas is None or not step.named:
        return None, None
    if step.options.get("patches", {}).get("attn1_patch"):
        run.warn(
            "Another extension changes the attention's inputs and may count on as many queries as keys: "
            "refresh_every has no effect beside it."
        )
        return None, None
    # Asking the device for sigma's value waits for it, once a step, and only with this option.
    if run.levels is None:
        run.levels = [float(level) for level in sigmas.tolist()]
    if run.reuse is None:
        run.reuse = Reuse(settings.refresh, len(blocks_of(step.model.diffusion_model)))
    reuse, keep = run.reuse.at(step.batch, nearest(float(step.sigma.max()), run.levels), len(run.levels) - 1)
    if keep is not None and step.batch not in run.measured:
        _check_room(settings, step)
        run.measured.add(step.batch)
    return reuse, keep


def extra_columns(settings: MaskSettings, model: Any, noise_shape: Any, masked: int) -> int:
    """The memory of the mask tokens and of their kept keys, in columns of latents.

    masked: how many conditionings have a mask. ComfyUI's estimate is linear in the latents' area.
    """
    batch, channels, height, width = (int(side) for side in noise_shape)
    grid = token_grid(height, width)
    count = mask_count(settings, grid)
    columns: int = math.ceil(width * count / math.prod(grid))
    if settings.refresh.every > 1:
        column: float = model.model.memory_required([batch, channels, height, 1])
        columns += math.ceil(masked * _bytes(model.model, batch, count) / column)
    return columns


def tokens_of(settings: MaskSettings, step: Step, kind: str) -> Tokens:
    """The tokens of a pass: `whole`, `reused`, or `without` the mask."""
    text = step.conds["c_crossattn"].shape[1] if step.conds.get("c_crossattn") is not None else 0
    count, image = mask_count(settings, step.grid), math.prod(step.grid)
    return Tokens(text, image, mask=count if kind == "whole" else 0, kept=count if kind == "reused" else 0)


def log_savings(run: Run) -> None:
    """Log what a time window or reused keys saved; nothing if every step computed the whole mask stream."""
    whole = next((tokens for tokens in run.passes if tokens.mask), None)
    if run.shape is None or whole is None or all(tokens.mask for tokens in run.passes):
        return
    share = share_of_whole(run.shape, run.passes, whole)
    logger.info(
        "The mask stream was computed in %d of %d passes, reused in %d, inactive in %d: %.0f %% of the operations of "
        "a run that computes it in every pass.",
        sum(tokens.mask > 0 for tokens in run.passes),
        len(run.passes),
        sum(tokens.kept > 0 for tokens in run.passes),
        sum(not tokens.mask and not tokens.kept for tokens in run.passes),
        100 * share,
    )


def _bytes(model: Any, batch: int, tokens: int) -> int:
    transformer = model.diffusion_model
    itemsize = comfy.model_management.dtype_size(compute_dtype(model))
    return kept_bytes(len(blocks_of(transformer)), batch, tokens, transformer.params.hidden_size, itemsize)


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
