"""Gated Condition's speed options in ComfyUI: which keys a step reuses, their memory, and what a run saved."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...mogle_core.model.flux.cost import Tokens, share_of_whole
from ...mogle_core.model.flux_latents import token_grid
from ...mogle_core.model.stream.kept_keys import Kept, Reuse, kept_bytes, nearest
from ...mogle_core.model.stream.mask_tokens import Grid, mask_grid
from ...mogle_core.model.stream.merged_tokens import Merged, merge_squares
from ...mogle_core.model.stream.transformer import blocks_of
from .comparing import is_masked
from .conditioning import CELLS
from .key_memory import LentKeys, bytes_there
from .runs import MaskSettings, Run, Step
from .versions import compute_dtype

logger = logging.getLogger(__name__)


def mask_count(settings: MaskSettings, grid: Grid, merged: Merged | None = None) -> int:
    """How many mask tokens a picture of this grid has."""
    return math.prod(mask_grid(settings.mask_tokens, grid)) if merged is None else merged.count


def most_mask_tokens(settings: MaskSettings, entries: list[dict[str, Any]], grid: Grid) -> int:
    """How many mask tokens the sampler's conditionings have at most, before any of them is sampled.

    With an area some squares may be cut, so there all tokens are counted.
    """
    counts = [0]
    for entry in filter(is_masked, entries):
        cells = entry["model_conds"].get(CELLS) if settings.mask_tokens == "merged" else None
        if cells is None or entry.get("area") is not None or token_grid(*cells.cond.shape[-2:]) != grid:
            counts.append(mask_count(settings, grid))
        else:
            counts.append(mask_count(settings, grid, merge_squares(cells.cond[:, 0], grid)))
    return max(counts)


def kept_keys(
    settings: MaskSettings,
    run: Run,
    step: Step,
    tokens: Callable[[], Tensor],
    merged: Merged | None = None,
) -> tuple[Kept | None, Kept | None]:
    """The keys that this step reuses, and where it stores its keys; neither where every step is exact.

    tokens: this step's mask tokens, for a schedule that compares them. merged: which of them become one.
    """
    sigmas = step.options.get("sample_sigmas")
    if settings.refresh.exact or sigmas is None or not step.named:
        return None, None
    if step.options.get("patches", {}).get("attn1_patch"):
        run.warn(
            "Another extension changes the attention's inputs and may count on as many queries as keys: "
            "refresh_every and refresh_schedule have no effect beside it."
        )
        return None, None
    # Asking the device for sigma's value waits for it, once a step, and only with these options.
    if run.levels is None:
        run.levels = [float(level) for level in sigmas.tolist()]
    number, device = nearest(float(step.sigma.max()), run.levels), step.x.device
    blocks = len(blocks_of(step.model.diffusion_model))
    lent = run.keys.get(device, lambda: LentKeys(Reuse(settings.refresh, blocks), device))
    reuse, keep = lent.reuse.at(
        step.batch,
        number,
        len(run.levels) - 1,
        tokens() if settings.refresh.adaptive else None,
        lambda: _new_keys(settings, run, step, merged),
    )
    if keep is not None:
        lent.show()
    return reuse, keep


def extra_columns(settings: MaskSettings, model: Any, noise_shape: Any, entries: list[dict[str, Any]]) -> int:
    """The memory of the mask tokens and of their kept keys, in columns of latents; 0 without a mask.

    entries: the sampler's conditionings. ComfyUI's estimate is linear in the latents' area.
    """
    batch, channels, height, width = (int(side) for side in noise_shape)
    grid = token_grid(height, width)
    masked, count = sum(map(is_masked, entries)), most_mask_tokens(settings, entries, grid)
    columns: int = math.ceil(width * count / math.prod(grid))
    if settings.static or not settings.refresh.exact:
        column: float = model.model.memory_required([batch, channels, height, 1])
        blocks = len(blocks_of(model.model.diffusion_model))
        kept = settings.keys.device_bytes(key_bytes(model.model, batch, count), itemsize(model.model), blocks)
        # A static stream's keys of earlier runs have their room already, and serve this run or make way for its own.
        there = bytes_there(model.load_device) if settings.static else 0
        columns += math.ceil(max(0, masked * kept - there) / column)
    return columns


def tokens_of(settings: MaskSettings, step: Step, kind: str, merged: Merged | None = None) -> Tokens:
    """The tokens of a pass: `whole`, `reused`, or `without` the mask."""
    text = step.conds["c_crossattn"].shape[1] if step.conds.get("c_crossattn") is not None else 0
    count, image = mask_count(settings, step.grid, merged), math.prod(step.grid)
    return Tokens(text, image, mask=count if kind == "whole" else 0, kept=count if kind == "reused" else 0)


def log_savings(run: Run) -> None:
    """Log what a time window or reused keys saved; nothing if every step computed the whole mask stream."""
    if run.shape is not None and any(tokens.kept for tokens in run.passes) and any(run.sources.values()):
        logger.info(
            "The checkpoint's mask stream is static: its keys were computed %d times in this run and used in %d of %d "
            "passes.",
            run.made,
            sum(tokens.kept > 0 for tokens in run.passes),
            len(run.passes),
        )
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


def _new_keys(settings: MaskSettings, run: Run, step: Step, merged: Merged | None = None) -> Kept:
    """An empty set for this step's keys: in host memory where the device has no room for it."""
    form, device = settings.keys, step.x.device
    total = key_bytes(step.model, len(step.x), mask_count(settings, step.grid, merged))
    stored = form.stored_bytes(total, itemsize(step.model))
    if not form.host and device.type != "cpu" and stored > comfy.model_management.get_free_memory(device):
        form = dataclasses.replace(form, host=True)
    place = torch.device("cpu") if form.host else device
    if step.batch not in run.measured:
        run.measured.add(step.batch)
        free = comfy.model_management.get_free_memory(place)
        if stored > free:
            raise ValueError(
                f"Gated Condition's refresh_every or refresh_schedule stores {stored / 2**20:,.0f} MB of the mask's "
                f"keys and values, and {free / 2**20:,.0f} MB are free on {place}. Set refresh_every to 1 and "
                "refresh_schedule to even, set key_storage to fp8, or make a smaller picture or batch."
            )
        where = f"host memory, for {device} has no room for them" if form != settings.keys else str(place)
        logger.info("%.0f MB of the mask's keys and values are kept in %s.", stored / 2**20, where)
    return form.new()


def key_bytes(model: Any, batch: int, tokens: int) -> int:
    """One conditioning's kept keys in the model's dtype."""
    transformer = model.diffusion_model
    width = transformer.params.hidden_size
    return kept_bytes(len(blocks_of(transformer)), batch, tokens, width, itemsize(model))


def itemsize(model: Any) -> int:
    size: int = comfy.model_management.dtype_size(compute_dtype(model))
    return size
