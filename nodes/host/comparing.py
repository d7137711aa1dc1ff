"""Attention patches that compare the positive with the negative, as core's Normalized Attention Guidance does.

Such a patch needs both in one pass, but ComfyUI only runs conditionings together if they have the
same arguments. So a negative without a mask gets the positive's mask, marked as absent: its text and image do not
see that mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.conds
import torch
from torch import Tensor

from .conditioning import MASK_LATENTS, OURS, PRESENT
from .functions import describe, mentions
from .runs import Run
from .versions import PATCHES_ATTENTION

Conds = dict[str, list[dict[str, Any]]]


def comparing_patches(options: Mapping[str, Any]) -> list[Any]:
    """The patches of the attention's output that read which conditionings are in the pass."""
    if not PATCHES_ATTENTION:
        return []
    patches = options.get("patches", {}).get("attn1_output_patch", ())
    return [patch for patch in patches if mentions(patch, "cond_or_uncond")]


def is_masked(entry: Mapping[str, Any]) -> bool:
    """Whether a sampler's entry of a conditioning carries a mask."""
    return MASK_LATENTS in entry.get("model_conds", {})


def made_comparable(conds: Conds, options: Mapping[str, Any]) -> Conds:
    """Let the sampler's conditionings share a pass. Unchanged if no patch compares them, or all or none have a mask."""
    entries = [entry for conditioning in conds.values() for entry in conditioning]
    masked = [entry for entry in entries if is_masked(entry)]
    if not masked or len(masked) == len(entries) or not comparing_patches(options):
        return conds
    return {name: [_comparable(entry, masked) for entry in conditioning] for name, conditioning in conds.items()}


def _comparable(entry: dict[str, Any], masked: list[dict[str, Any]]) -> dict[str, Any]:
    own = entry.get("model_conds", {})
    like = next((other for other in masked if other.get("area") == entry.get("area")), masked[0])["model_conds"]
    lent = {} if is_masked(entry) else {name: like[name] for name in OURS if name in like}
    present = comfy.conds.CONDRegular(torch.full((1, 1), float(is_masked(entry))))
    return {**entry, "model_conds": {**own, **lent, PRESENT: present}}


def absent_rows(present: Tensor | None, device: torch.device) -> Tensor | None:
    """Which pictures (B,) of a pass bring a mask only so that they can share the pass; None if there are none."""
    absent = None if present is None else present.flatten() == 0
    return absent.to(device) if absent is not None and bool(absent.any()) else None


def tell_lost_guidance(run: Run, options: Mapping[str, Any]) -> None:
    """A warning if Normalized Attention Guidance got the positive in a pass of its own."""
    chunks = options.get("cond_or_uncond", ())
    if 0 in chunks and 1 not in chunks and any("nag" in describe(p).lower() for p in comparing_patches(options)):
        run.warn(
            "NAGuidance has no effect in this run: it needs the positive and the negative in one pass, and ComfyUI "
            "ran the positive alone. It does so where the sampler has no negative, where the two differ in area, "
            "ControlNet or hooks, and where memory does not suffice for both: connect a negative to the sampler, give "
            "it the positive's area, ControlNet and hooks, or make a smaller picture."
        )
