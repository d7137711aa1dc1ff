"""Compiles the transformer's blocks for training: once for each kind of block, not once for each block.

A compiled graph must not depend on a block's name, so a block is called as a function of tensors: its tokens joined
with the mask's, its modulation, and its LoRA, under names that all blocks of a kind share. Only passes with gradients
and a running mask stream are compiled; validation and plain FLUX run as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from ..stream.attention import StreamOptions
from ..stream.blocks import double_block, single_block
from ..stream.condition import MaskCondition
from ..stream.low_rank import LowRank
from ..stream.mask_stream import MaskInputs, MaskStream
from .attention import attend
from .model import Flux
from .params import FluxParams

logger = logging.getLogger(__name__)

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]

_ANY = "block"
"""The name of every block inside a compiled graph."""

_PASSED = ("modulations", "rotary", "lora", "options", "separate_calls")
"""The mask's inputs that a compiled graph takes. A pass with any other one is not compiled."""


def compile_blocks(flux: Flux, compiler: Compile = torch.compile) -> Flux:
    """Compile the blocks in place. Call it before gradient checkpointing or offloading wraps them."""
    double, single = compiler(_double), compiler(_single)
    for block in flux.double_blocks:
        block.forward = _DoubleForward(block, double)
    for block in flux.single_blocks:
        block.forward = _SingleForward(block, single)
    return flux


def compiles_on(device: torch.device) -> bool:
    """Whether a trial, a step of a tiny transformer, compiles on this device. The log says why not."""
    try:
        _trial(device)
    except Exception as error:  # a missing compiler, an unknown GPU, a bug of this version of torch
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        logger.warning("model.compile: blocks do not compile here (%s); they run as they are.", reason)
        return False
    return True


def _trial(device: torch.device) -> None:
    params = FluxParams(
        hidden_size=64, num_heads=2, depth=1, depth_single_blocks=2, axes_dim=(8, 12, 12), context_in_dim=16,
        vec_in_dim=16,
    )  # fmt: skip
    flux = compile_blocks(Flux(params).to(device).requires_grad_(False))
    masks = torch.zeros(1, 4, 64, device=device, requires_grad=True)
    zeros = torch.zeros(1, 4, 64, device=device)
    text, pooled, time = zeros[..., :16], zeros[:, 0, :16], zeros[:, 0, 0]
    out = flux(zeros, text, time, pooled, (2, 2), time, MaskCondition(masks, (2, 2), {}, StreamOptions()))
    out.sum().backward()


class _Forward:
    """A block's forward. Passes that are not compiled go to `plain`."""

    def __init__(self, block: Any, compiled: Callable[..., Any]) -> None:
        self.block, self.plain, self.compiled = block, block.forward, compiled

    def is_compiled(self, mask: MaskStream | None) -> bool:
        if mask is None or not torch.is_grad_enabled():
            return False
        others = (part for part in fields(mask.given) if part.name not in _PASSED)
        return all(getattr(mask.given, part.name) == part.default for part in others)

    def inputs(self, mask: MaskStream, modulation: str) -> tuple[Tensor, dict[str, LowRank], StreamOptions, bool]:
        """The mask's inputs to this block: its modulation, its LoRA under shared names, and the options."""
        given, name = mask.given, self.block.name
        lora = {_ANY + layer[len(name) :]: low for layer, low in given.lora.items() if layer.startswith(f"{name}.")}
        return given.modulations[f"{name}.{modulation}"], lora, given.options, given.separate_calls


class _DoubleForward(_Forward):
    def __call__(
        self, img: Tensor, txt: Tensor, vec: Tensor, rotary: Tensor, mask: MaskStream | None = None
    ) -> tuple[Tensor, Tensor]:
        if mask is None or not self.is_compiled(mask):
            plain: tuple[Tensor, Tensor] = self.plain(img, txt, vec, rotary, mask)
            return plain
        mask.text, mask.blocks, count = txt.shape[1], mask.blocks + 1, img.shape[1]
        positions = (rotary, mask.given.rotary, mask.extend_rotary(rotary))
        joint, txt = self.compiled(
            self.block, mask.join(img), txt, vec, positions, count, *self.inputs(mask, "img_mod.lin")
        )
        return mask.part(joint, count), txt


class _SingleForward(_Forward):
    def __call__(self, x: Tensor, vec: Tensor, rotary: Tensor, mask: MaskStream | None = None) -> Tensor:
        if mask is None or not self.is_compiled(mask):
            plain: Tensor = self.plain(x, vec, rotary, mask)
            return plain
        count, last = x.shape[1], self.block.last
        mask.blocks += 1
        positions = (rotary, mask.given.rotary, mask.extend_rotary(rotary))
        joint = self.compiled(
            self.block, mask.join(x), vec, positions, count, last, *self.inputs(mask, "modulation.lin")
        )
        return joint if last else mask.part(joint, count)


def _double(
    block: Any,
    joint: Tensor,
    txt: Tensor,
    vec: Tensor,
    positions: tuple[Tensor, Tensor, Tensor],
    count: int,
    modulation: Tensor,
    lora: Mapping[str, LowRank],
    options: StreamOptions,
    separate_calls: bool,
) -> tuple[Tensor, Tensor]:
    """A double block over [image | mask] and text; `count` tokens are the image's."""
    stream = _stream(positions, {f"{_ANY}.img_mod.lin": modulation}, lora, options, separate_calls)
    image = stream.part(joint, count)
    image, txt = double_block(block, _ANY, image, txt, vec, positions[0], attend, mask=stream)
    return stream.whole(image), txt


def _single(
    block: Any,
    joint: Tensor,
    vec: Tensor,
    positions: tuple[Tensor, Tensor, Tensor],
    count: int,
    last: bool,
    modulation: Tensor,
    lora: Mapping[str, LowRank],
    options: StreamOptions,
    separate_calls: bool,
) -> Tensor:
    """A single block over [text | image | mask]. The last block returns the first `count`, the mask's left out."""
    stream = _stream(positions, {f"{_ANY}.modulation.lin": modulation}, lora, options, separate_calls)
    others = stream.part(joint, count)
    out = single_block(block, _ANY, others, vec, positions[0], attend, mask=stream, last=last)
    return out if last else stream.whole(out)


def _stream(
    positions: tuple[Tensor, Tensor, Tensor],
    modulations: Mapping[str, Tensor],
    lora: Mapping[str, LowRank],
    options: StreamOptions,
    separate_calls: bool,
) -> MaskStream:
    """The stream of one block. positions: the host's embedding, the mask's, and both."""
    rotary, masks, extended = positions
    given = MaskInputs(modulations, masks, lora, options, separate_calls)
    stream = MaskStream(masks, given)
    stream._rotary = (rotary, extended)
    return stream
