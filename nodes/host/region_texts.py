"""The regions' texts: on the CONDITIONING beside the mask, and joined to the text of a forward pass.

They are separate arguments, not part of the text: where ComfyUI runs conditionings together, it repeats texts of
different lengths until they are equally long, and then nobody could say which tokens are a region's.
"""

from __future__ import annotations

import logging
from typing import Any

import comfy.conds
import torch
from torch import Tensor

from ...mogle_core.model.mixture.mask_latents import MaskLatents, class_shares
from ...mogle_core.model.stream.region_text import RegionPrompt, RegionText, join_context
from .conditioning import CONTEXTS, PARTS, SHARES, Conditioning, MaskCond
from .runs import JoinedTexts, Part, Run, Step

logger = logging.getLogger(__name__)


def with_region_prompts(
    conditioning: Conditioning, masks: MaskLatents, prompts: tuple[RegionPrompt, ...]
) -> Conditioning:
    """The conditioning with the regions' texts in each entry's `model_conds`; itself if there are none."""
    prompts = tuple(prompt for prompt in prompts if prompt.strength > 0 and _is_present(prompt, masks))
    if not prompts:
        return conditioning
    for text, _ in conditioning:
        _check_same_width(text, prompts)
    ids = _label_maps(masks)
    conds = {
        CONTEXTS: comfy.conds.CONDRegular(torch.cat([prompt.context for prompt in prompts], dim=1)),
        SHARES: MaskCond(torch.stack([class_shares(ids, prompt.region) for prompt in prompts], dim=1)),
        PARTS: comfy.conds.CONDConstant(tuple(_part(prompt) for prompt in prompts)),
    }
    return [[text, {**entry, "model_conds": {**entry.get("model_conds", {}), **conds}}] for text, entry in conditioning]


def take_region_texts(arguments: dict[str, Any]) -> JoinedTexts | None:
    """Out of the model's arguments, with or without a mask beside them; None if there are none."""
    contexts, shares, parts = (arguments.pop(name, None) for name in (CONTEXTS, SHARES, PARTS))
    return None if parts is None else JoinedTexts(contexts, shares, parts)


def active_texts(run: Run, step: Step) -> tuple[RegionText, ...]:
    """The regions' texts whose time window holds now; their areas are computed once a run."""
    joined = step.texts
    if joined is None:
        return ()
    texts = run.texts.get(step.batch, lambda: joined.texts(step.x.device))
    windows = ((part.start_percent, part.end_percent) for part in joined.parts)
    return tuple(text for text, window in zip(texts, windows, strict=True) if step.within(*window))


def join_texts(
    texts: tuple[RegionText, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], int]:
    """The forward pass's arguments with the regions' texts behind its text, and how many tokens are text then."""
    named = "context" in kwargs
    context: Tensor = kwargs["context"] if named else args[2]
    if texts:
        context = join_context(context, texts)
        args = args if named else (*args[:2], context, *args[3:])
        kwargs = {**kwargs, "context": context} if named else kwargs
    return args, kwargs, context.shape[1]


def text_of(conditioning: Conditioning, region: str) -> Tensor:
    """The one text (1, T, C) of a conditioning. Raises ValueError for several, or none."""
    texts: list[Tensor] = [text for text, _ in conditioning]
    if len(texts) != 1 or texts[0].ndim != 3 or texts[0].shape[0] != 1:
        raise ValueError(
            f"The Region Prompt for {region!r} was given {len(texts)} texts, of shape "
            f"{[tuple(text.shape) for text in texts]}; expected one, (1, tokens, width). Connect CLIP Text Encode "
            "to it without Conditioning Combine, and use one Region Prompt for each text."
        )
    return texts[0]


def _part(prompt: RegionPrompt) -> Part:
    return Part(
        tokens=prompt.context.shape[1],
        strength=prompt.strength,
        prompt_strength=prompt.prompt_strength,
        start_percent=prompt.start_percent,
        end_percent=prompt.end_percent,
    )


def _label_maps(masks: MaskLatents) -> Tensor:
    if masks.ids is None:
        raise ValueError(
            "These mask latents carry no label map, so no region can have a prompt: connect MoGLE Encode's output to "
            "Gated Condition."
        )
    return masks.ids


def _is_present(prompt: RegionPrompt, masks: MaskLatents) -> bool:
    present = bool(class_shares(_label_maps(masks), prompt.region).any())
    if not present:
        logger.warning("The mask has no %s, so its Region Prompt does nothing.", prompt.region)
    return present


def _check_same_width(text: Tensor, prompts: tuple[RegionPrompt, ...]) -> None:
    for prompt in prompts:
        if prompt.context.shape[-1] != text.shape[-1]:
            raise ValueError(
                f"The Region Prompt for {prompt.region!r} holds text of width {prompt.context.shape[-1]}, the "
                f"prompt of Gated Condition {text.shape[-1]}: encode both with the same CLIP."
            )
