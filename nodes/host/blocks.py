"""The blocks of one forward pass, replaced by blocks that carry the mask stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import comfy.ldm.flux.math
import torch
from torch import Tensor

from ...mogle_core.model.stream.attention import Attend, ByStream, by_stream
from ...mogle_core.model.stream.blocks import double_block, single_block
from ...mogle_core.model.stream.mask_stream import MaskStream
from . import foreign_blocks
from .foreign_blocks import OVERRIDE, Key
from .versions import PATCHES_ATTENTION, PREFERS_ATTENTION, exact_attention, rotate


@dataclass
class Visits:
    """What came of a forward pass: how many blocks carried the mask, and whose effect was lost there."""

    blocks: int = 0
    lost: set[str] = field(default_factory=set)


def with_replaced_blocks(
    transformer: Any,
    stream: MaskStream,
    options: Mapping[str, Any],
    foreign: Mapping[Key, str] | None = None,
    visits: Visits | None = None,
) -> dict[str, Any]:
    """A copy of transformer_options whose block replacements carry the stream.

    A replacement that is already there is called with ours as its original block. foreign: the blocks that another
    extension put in the place of FLUX's, and whose they are; visits notes those that could not be kept.
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
    for key, theirs in (foreign or {}).items():
        ours[key] = partial(_foreign, theirs, ours[key], stream, last, visits or Visits())
    for key, block in ours.items():
        blocks[key] = partial(_chained, blocks[key], block) if key in blocks else block
    return {**options, "patches_replace": {**replace, "dit": blocks}}


def _chained(theirs: Callable[..., Any], ours: Callable[..., Any], args: Any, extra: Any) -> Any:
    return theirs(args, {**extra, "original_block": partial(ours, extra=extra)})


def _foreign(
    theirs: str, ours: Any, stream: MaskStream, last: int, visits: Visits, args: Any, extra: Any = None
) -> Any:
    """Another extension's block by its own forward; where it cannot be, the stock one, and a note of that."""
    block, name = ours.args[:2]
    kind, _, number = name.partition(".")
    if kind == "double_blocks":
        out = foreign_blocks.double_block(block, name, stream, args, extra)
    else:
        out = foreign_blocks.single_block(block, name, stream, int(number) == last, args, extra)
    if out is not None:
        return out
    visits.lost.add(theirs)
    return ours(args, extra)


def _double_block(block: Any, name: str, stream: MaskStream, args: Any, extra: Any = None) -> dict[str, Any]:
    img, txt = args["img"], args["txt"]
    options = {**(args.get("transformer_options") or {})}
    options["img_slice"] = [txt.shape[1], txt.shape[1] + img.shape[1]]
    attend = attention(block, options, txt.shape[1] + img.shape[1] if stream.given.absent is not None else None)
    img, txt = double_block(block, name, img, txt, args["vec"], args["pe"], attend, args.get("attn_mask"), stream)
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
        attention(block, options, args["img"].shape[1] if stream.given.absent is not None else None),
        args.get("attn_mask"),
        stream,
        last,
    )
    return {"img": img}


def attention(block: Any, options: Mapping[str, Any], compared: int | None = None) -> Attend:
    """The host's attention with its rope, its choice of backend, and other extensions' patches.

    compared: how many tokens (text and image) patches of the result get if they compare the pictures of a pass and
    some pictures have no mask; None gives them all tokens.
    """
    patches = options.get("patches", {}) if PATCHES_ATTENTION else {}
    extra = {"preferred_attention": getattr(block, "comfy_attention", None)} if PREFERS_ATTENTION else {}

    def plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, pe: Tensor | None = None) -> Tensor:
        if mask is not None:
            q, k = (q, k) if pe is None else (rotate(q, pe), rotate(k, pe))
            return exact_attention(q, k, v, mask, options)
        result: Tensor = comfy.ldm.flux.math.attention(q, k, v, pe=pe, mask=mask, transformer_options=options, **extra)
        return result

    def attend(q: Tensor, k: Tensor, v: Tensor, pe: Tensor | None, mask: Tensor | ByStream | None) -> Tensor:
        patched = patches.get("attn1_patch", ())
        if patched and isinstance(mask, ByStream):
            mask = mask.dense(q)  # what such a patch knows how to change
        if patched or OVERRIDE in options:
            v = v.clone()  # who sees it may keep it, and the block writes over its place
        for patch in patched:
            out = patch(q, k, v, pe=pe, attn_mask=mask, extra_options=options)
            q, k, v = out.get("q", q), out.get("k", k), out.get("v", v)
            pe, mask = out.get("pe", pe), out.get("attn_mask", mask)
        if pe is not None and (isinstance(mask, ByStream) or q.shape[2] != k.shape[2]):
            q, k, pe = rotate(q, pe[:, :, : q.shape[2]]), rotate(k, pe), None
        result = by_stream(plain, q, k, v, mask) if isinstance(mask, ByStream) else plain(q, k, v, mask, pe)
        for patch in patches.get("attn1_output_patch", ()):
            if compared is None:
                result = patch(result, options)
            else:
                result = torch.cat((patch(result[:, :compared], options), result[:, compared:]), dim=1)
        return result

    return attend
