"""Blocks that another extension put in the place of FLUX's: their own forward runs, and the mask meets it in attention.

The contract: such a block calls ComfyUI's attention once, with the `transformer_options` it was given, on all
tokens [text | image]. Then ComfyUI lets an `optimized_attention_override` stand in, and there the mask's keys and
values are added. A block that keeps to less is run as FLUX's own, and the log names whose effect is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...mogle_core.model.stream import apart
from ...mogle_core.model.stream.attention import ByStream, by_stream
from ...mogle_core.model.stream.mask_stream import MaskStream
from .functions import describe, innermost
from .versions import rotate

HOST_BLOCKS = "comfy.ldm.flux.layers"
OVERRIDE = "optimized_attention_override"

Key = tuple[str, int]
"""As in `patches_replace`: (`double_block` or `single_block`, its number)."""


def foreign_blocks(transformer: Any) -> dict[Key, str]:
    """Which blocks run another forward than FLUX's own, compiled or not, and whose."""
    kinds = (("double_block", transformer.double_blocks), ("single_block", transformer.single_blocks))
    owners = {(kind, i): owner(block) for kind, blocks in kinds for i, block in enumerate(blocks)}
    return {key: name for key, name in owners.items() if name}


def owner(block: Any) -> str:
    """What stands in a block's place, in words; empty for the host's own forward."""
    block = getattr(block, "_orig_mod", block)  # torch.compile's wrapper
    replaced = vars(block).get("forward")
    forward = innermost(replaced if replaced is not None else type(block).forward)
    if getattr(forward, "__module__", "") == HOST_BLOCKS:
        return ""
    return describe(forward) if replaced is not None else describe(type(block))


@dataclass
class Meeting:
    """One call of attention in which the others' queries, keys and values meet the mask's."""

    stream: MaskStream
    name: str
    others: int
    heads: apart.Heads | None  # None: the keys of an earlier pass are reused
    previous: Callable[..., Tensor] | None
    given: Tensor | None = None
    silent: bool = False  # no block follows, so the mask needs no result of its own
    result: Tensor | None = None
    calls: list[bool] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether the block kept to the contract."""
        return self.calls == [True]

    def __call__(
        self, func: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Any = None, *rest: Any, **more: Any
    ) -> Tensor:
        """As ComfyUI calls an `optimized_attention_override`."""
        fits = not rest and bool(more.get("skip_reshape")) and not more.get("skip_output_reshape")
        self.calls.append(fits and q.ndim == 4 and q.shape[2] == k.shape[2] == self.others and not self.calls)
        run = func if self.previous is None else _bound(self.previous, func)
        if not self.calls[-1]:
            result: Tensor = run(q, k, v, heads, mask, *rest, **more)
            return result

        def plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
            extra = {} if mask is None else {"low_precision_attention": False}
            out: Tensor = run(q, k, v, heads, mask=mask, **{**more, **extra})
            return out

        return self._meet(plain, q, k, v, mask)

    def _meet(self, plain: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, mask: Any) -> Tensor:
        stream, others = self.stream, self.others
        if self.heads is None:
            mask_q, mask_k, mask_v = q[:, :, :0], k[:, :, :0], v[:, :, :0]
        else:
            mask_q, mask_k, mask_v = self.heads
        mask_k, mask_v = stream.keys(self.name, mask_k, mask_v, 0)
        mask_k = rotate(mask_k, stream.given.rotary)
        mask_q = mask_q[:, :, :0] if self.silent or self.heads is None else rotate(mask_q, stream.given.rotary)
        k, v = torch.cat((k, mask_k.to(k)), dim=2), torch.cat((v, mask_v.to(v)), dim=2)
        q = torch.cat((q, mask_q.to(q)), dim=2)
        sights = stream.extend_mask(self.name, mask, q, others)
        if isinstance(sights, ByStream):
            out = by_stream(plain, q, k, v, sights)
        else:
            out = plain(q, k, v, sights if sights is None or sights.shape[-2] == 1 else sights[..., : q.shape[2], :])
        self.result = out[:, others:]
        return out[:, :others]


def _bound(previous: Callable[..., Tensor], func: Any) -> Callable[..., Tensor]:
    def run(*args: Any, **kwargs: Any) -> Tensor:
        return previous(func, *args, **kwargs)

    return run


def double_block(block: Any, name: str, stream: MaskStream, args: Mapping[str, Any], extra: Any) -> Any:
    """Another extension's double block with the mask; None where it does not keep to the contract."""
    if stream.given.options.add_condition_attention or not _callable(extra):
        return None  # the mask's attention would have to be added to the image inside
    stream.text = args["txt"].shape[1]
    others = stream.text + args["img"].shape[1]
    mask = stream.running
    meeting = _meeting(stream, name, others, None if mask is None else apart.double_heads(block, name, mask), args)
    out = _run(meeting, args, extra, ("img", "txt"))
    if out is not None and mask is not None and meeting.result is not None:
        apart.double_update(block, name, mask, meeting.result)
    return out


def single_block(block: Any, name: str, stream: MaskStream, last: bool, args: Mapping[str, Any], extra: Any) -> Any:
    """Another extension's single block with the mask; None where it does not keep to the contract."""
    if stream.given.options.latent_lora or not _callable(extra):
        return None
    mask = stream.running
    heads, fused = (None, None) if mask is None else apart.single_heads(block, name, mask)
    meeting = _meeting(stream, name, args["img"].shape[1], heads, args)
    meeting.silent = last
    out = _run(meeting, args, extra, ("img",))
    if out is not None and not last and mask is not None and fused is not None and meeting.result is not None:
        apart.single_update(block, name, mask, meeting.result, fused)
    return out


def _callable(extra: Any) -> bool:
    return isinstance(extra, Mapping) and callable(extra.get("original_block"))


def _meeting(stream: MaskStream, name: str, others: int, heads: apart.Heads | None, args: Mapping[str, Any]) -> Meeting:
    return Meeting(stream, name, others, heads, (args.get("transformer_options") or {}).get(OVERRIDE))


def _run(meeting: Meeting, args: Mapping[str, Any], extra: Mapping[str, Any], tensors: tuple[str, ...]) -> Any:
    """The block's own forward, by the host's way of calling it; None if it broke the contract.

    It may write over what it is given, and then could not be run a second time: so it gets copies.
    """
    options = {**(args.get("transformer_options") or {}), OVERRIDE: meeting}
    copies = {tensor: args[tensor].clone() for tensor in tensors}
    visited = meeting.stream.blocks
    out = extra["original_block"]({**args, **copies, "transformer_options": options})
    if meeting.kept:
        return out
    meeting.stream.blocks = visited
    return None
