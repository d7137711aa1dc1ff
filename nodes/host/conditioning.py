"""The mask on the CONDITIONING: latents that ComfyUI repeats over a batch and crops to an area."""

from __future__ import annotations

from typing import Any, TypeAlias

import comfy.conds
import torch
from torch import Tensor

from ...mogle_core.model.flux_latents import DOWNSCALE
from ...mogle_core.model.mixture.mask_latents import MaskLatents

Conditioning: TypeAlias = list[list[Any]]

# Names among a conditioning's `model_conds`, and then among the model's arguments.
MASK_LATENTS = "mogle_mask_latents"
CELLS = "mogle_mask_cells"  # only where mask tokens are merged
CONTEXTS = "mogle_region_contexts"
SHARES = "mogle_region_shares"
PARTS = "mogle_region_parts"
PRESENT = "mogle_present"  # only where conditionings are compared, see comparing.py
OURS = (MASK_LATENTS, CELLS, CONTEXTS, SHARES, PARTS, PRESENT)


def with_mask(
    conditioning: Conditioning, masks: MaskLatents, extra: tuple[str, ...] = (), merged: bool = False
) -> Conditioning:
    """The conditioning with the mask latents in each entry's `model_conds`, in place of those of a node before.

    extra: the further conditions of the network. merged: the classes of the latent cells travel as well, if known.
    Raises MaskError if the network lacks a condition that was given.
    """
    # Dim 0 is the batch and the last two are the latent's, so that ComfyUI repeats and crops them.
    conds = {MASK_LATENTS: MaskCond(masks.for_network(extra).flatten(1, 2))}
    if merged and (cells := masks.cells()) is not None:
        conds[CELLS] = MaskCond(cells[:, None].float())
    return [[text, {**entry, "model_conds": {**_others(entry), **conds}}] for text, entry in conditioning]


def without_mask(conditioning: Conditioning) -> Conditioning:
    """The conditioning without what a Gated Condition before this one put on it; itself if there was nothing."""
    if not any(name in OURS for _, entry in conditioning for name in entry.get("model_conds", {})):
        return conditioning
    return [[text, {**entry, "model_conds": _others(entry)}] for text, entry in conditioning]


def _others(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: cond for name, cond in entry.get("model_conds", {}).items() if name not in OURS}


def empty_conditioning(conditioning: Conditioning) -> Conditioning:
    """Zeros in place of text: a negative for samplers that want one where guidance does not use it."""
    return [
        [torch.zeros_like(text), {"pooled_output": torch.zeros_like(entry["pooled_output"])}]
        if entry.get("pooled_output") is not None
        else [torch.zeros_like(text), {}]
        for text, entry in conditioning
    ]


class MaskCond(comfy.conds.CONDNoiseShape):
    """Mask latents (B, (20 + K) * 16, H, W), cropped with the noise where a conditioning has an area.

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
                    f"The mask was encoded at {pixels(self.cond)}, but its area reaches "
                    f"{(start[1] + size[1]) * DOWNSCALE} x {(start[0] + size[0]) * DOWNSCALE}. Set MoGLE "
                    "Encode's width and height to the whole picture's, or to the area's."
                )
        processed: MaskCond = super().process_cond(batch_size=batch_size, area=area, **rest)
        return processed


def check_same_size(latents: Tensor, x: Tensor) -> None:
    """The mask must have been encoded at the size that is sampled."""
    if latents.shape[-2:] != x.shape[-2:]:
        raise ValueError(
            f"The mask was encoded at {pixels(latents)} but {pixels(x)} are sampled (a second pass at another "
            "size, a tiled sampler, or another size in Empty Latent Image). Set MoGLE Encode's width and height "
            "to the sampled size, or connect the sampled latent to it."
        )


def pixels(latents: Tensor) -> str:
    """The size of a picture with these latents (..., H, W), in words."""
    return f"{latents.shape[-1] * DOWNSCALE} x {latents.shape[-2] * DOWNSCALE} pixels"
