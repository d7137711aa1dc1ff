"""FLUX.1's double and single blocks with the mask stream; written once for ComfyUI and for `flux.py`.

Mask tokens pass every block with the *image's* weights, at the image's positions, with a modulation vector
of their own (timestep 0), and everyone sees everyone: [text, image, mask]. The LoRA acts on the mask tokens
only. A block's sub-modules are called by BFL's names, which are ComfyUI's names too, and always as modules:
their weights may be quantised, streamed or not there yet.

Image and mask tokens go through each shared Linear in one call, as one tensor [image | mask], so that a
weight is moved or dequantised once. Between two blocks the host holds a view of its image part; while that
view comes back as it was handed out, nothing is copied.

A pass that reuses the mask's keys of an earlier one (`reuse`) has no mask tokens: its blocks run as the host's
own would, but attend to those keys, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Attend, ByStream, StreamOptions, who_sees_whom
from .heads import beside_hidden, heads_first, split_heads
from .kept_keys import Kept
from .lora import LowRank, adapted
from .modulation import Modulation, affine, double, finite, gated
from .overwrite import overwrite
from .region_text import RegionText

Block = Any
"""A block of BFL's, ComfyUI's or `flux.py`'s transformer: any module whose sub-modules have BFL's names."""


@dataclass
class MaskStream:
    """The mask stream of one forward pass: made before the first block, dead after the last.

    tokens: (B, M, H), the mask tokens after `img_in`.
    modulations: for each block's modulation Linear, its output (B, 1, 6H or 3H) for the mask tokens.
    rotary: (B, 1, M, D/2, 2, 2), the mask tokens' rotary embedding.
    texts: the regions' texts, which are the last of the host's text tokens.
    text: how many text tokens the host has, with those; a double block sees for itself.
    keep: where this pass leaves its keys and values, if anywhere. reuse: those of an earlier pass that this one
        uses; then `tokens` is (B, 0, H) and there need be no modulations.
    """

    tokens: Tensor
    modulations: Mapping[str, Tensor]
    rotary: Tensor
    lora: Mapping[str, LowRank] = field(default_factory=dict)
    options: StreamOptions = field(default_factory=StreamOptions)
    # Weights whose products scale their whole input by its largest value (nvfp4) would let the mask tokens
    # move the image's rounding: then each stream gets a call of its own.
    separate_calls: bool = False
    texts: tuple[RegionText, ...] = ()
    text: int = 0
    keep: Kept | None = None
    reuse: Kept | None = None
    blocks: int = 0  # visited so far
    # What the last block left behind: [others | mask], and the part of it that the host was given.
    _joint: Tensor | None = None
    _handed_out: Tensor | None = None
    # The host hands the same embedding and mask to every block: extended once.
    _rotary: tuple[Tensor, Tensor] | None = None
    _sights: dict[int, tuple[Tensor | None, Tensor | ByStream | None]] = field(default_factory=dict)

    @property
    def own(self) -> MaskStream | None:
        """This stream, or None where it has no tokens of its own to run through a block."""
        return self if self.reuse is None else None

    def join(self, others: Tensor) -> Tensor:
        """The host's tokens (B, N, H) and the mask's as one tensor (B, N + M, H)."""
        if self._joint is None or others is not self._handed_out:
            joint = torch.cat((others, self.tokens), dim=1)
            self.part(joint, others.shape[1])  # lets go of what the last block left behind
            return joint
        return self._joint

    def part(self, joint: Tensor, others: int) -> Tensor:
        """Keep a block's result (B, N + M, H); returns the host's part of it, a view (B, N, H)."""
        self._joint, self._handed_out = joint, joint[:, :others]
        self.tokens = joint[:, others:]
        return self._handed_out

    def move(self, tokens: Tensor) -> None:
        """Take tokens (B, M, H) that were moved apart from the host's; the next block joins them anew."""
        self._joint = self._handed_out = None
        self.tokens = tokens

    def modulation(self, layer: str, chunks: int) -> tuple[Tensor, ...]:
        return self.modulations[layer].chunk(chunks, dim=-1)

    def extend_rotary(self, rotary: Tensor | None) -> Tensor | None:
        """The host's embedding with the mask tokens' behind it; None stays None (no positions at all)."""
        if rotary is None:
            return None
        if self._rotary is None or self._rotary[0] is not rotary:
            own = self.rotary.to(rotary).expand(rotary.shape[0], *self.rotary.shape[1:])
            self._rotary = (rotary, torch.cat((rotary, own), dim=2))
        return self._rotary[1]

    def extend_mask(self, mask: Tensor | None, like: Tensor, others: int) -> Tensor | ByStream | None:
        """The host's attention mask grown by the mask tokens, with these options in it; None if it can be."""
        if others not in self._sights or self._sights[others][0] is not mask:
            own = self.rotary.shape[2]
            sights = who_sees_whom(mask, others, own, self.options, like, self.texts, self.text)
            self._sights[others] = (mask, sights)
        return self._sights[others][1]

    def keys(self, block: str, k: Tensor, v: Tensor, others: int) -> tuple[Tensor, Tensor]:
        """A block's keys and values (B, heads, S, D) with the mask's in them, wherever those come from."""
        self.blocks += 1
        if self.reuse is not None:
            own_k, own_v = self.reuse[block]
            return torch.cat((k, own_k), dim=2), torch.cat((v, own_v), dim=2)
        if self.keep is not None:
            self.keep[block] = (k[:, :, others:].clone(), v[:, :, others:].clone())
        return k, v


def double_block(
    block: Block,
    name: str,
    img: Tensor,
    txt: Tensor,
    vec: Tensor,
    rotary: Tensor | None,
    attend: Attend,
    attn_mask: Tensor | None = None,
    mask: MaskStream | None = None,
) -> tuple[Tensor, Tensor]:
    """One double block, with the mask stream if there is one.

    Args:
        name: the block's, `double_blocks.<n>`.
        img, txt: (B, N, H), (B, T, H). vec: (B, H). rotary: (B, 1, T + N, D/2, 2, 2).
        attn_mask: over [text, image], or None.

    Returns:
        img and txt of the same shapes; the mask tokens stay in `mask`.
    """
    stream, count = mask, img.shape[1]
    mask = None if mask is None else mask.own
    own = modulate(block.img_mod.lin, vec, 6, mask, f"{name}.img_mod.lin")
    text = modulate(block.txt_mod.lin, vec, 6)
    theirs = (None, None) if mask is None else double(mask.modulation(f"{name}.img_mod.lin", 6))
    x = img if mask is None else mask.join(img)

    if stream is not None:
        stream.text = txt.shape[1]
    heads = _double_heads(block, name, x, txt, count, (own[0], theirs[0], text[0]), mask)
    attention = attended(*heads, name, txt.shape[1] + count, rotary, attend, attn_mask, stream)
    text_attention, attention = attention[:, : txt.shape[1]], attention[:, txt.shape[1] :]
    text_update = block.txt_attn.proj(text_attention) * text[0].gate
    update = linear(block.img_attn.proj, attention, count, mask, f"{name}.img_attn.proj")
    del heads, attention, text_attention  # before the MLP's wide hidden layer is made
    update = gated(update, count, own[0], theirs[0])
    if mask is not None and mask.options.add_condition_attention:
        update = _add_to_image(update, count)

    x = x + update
    normed = affine(block.img_norm2(x), count, own[1], theirs[1])
    x = x + gated(mlp(block.img_mlp, normed, count, mask, f"{name}.img_mlp"), count, own[1], theirs[1])
    txt = txt + text_update
    normed = affine(block.txt_norm2(txt), txt.shape[1], text[1])
    txt = txt + block.txt_mlp(normed) * text[1].gate
    return (x if mask is None else mask.part(x, count)), finite(txt)


def single_block(
    block: Block,
    name: str,
    x: Tensor,
    vec: Tensor,
    rotary: Tensor | None,
    attend: Attend,
    attn_mask: Tensor | None = None,
    mask: MaskStream | None = None,
    last: bool = False,
) -> Tensor:
    """One single block, with the mask stream if there is one.

    Args:
        name: the block's, `single_blocks.<n>`.
        x: (B, T + N, H), text before image. vec: (B, H). rotary: (B, 1, T + N, D/2, 2, 2).
        last: no block follows, so the mask tokens serve only as keys and values.

    Returns:
        x of the same shape; the mask tokens stay in `mask`.
    """
    stream, count = mask, x.shape[1]
    mask = None if mask is None else mask.own
    (own,) = modulate(block.modulation.lin, vec, 3, mask, f"{name}.modulation.lin")
    theirs = None if mask is None else Modulation(*mask.modulation(f"{name}.modulation.lin", 3))
    x = x if mask is None else mask.join(x)

    fused = linear(block.linear1, affine(block.pre_norm(x), count, own, theirs), count, mask, f"{name}.linear1")
    q, k, v = heads_first(*split_heads(fused[..., : 3 * block.hidden_size], block.num_heads, block.norm))
    if stream is not None and last:
        q, fused, x, theirs = q[:, :, :count], fused[:, :count], x[:, :count], None
        mask = mask if stream.options.latent_lora else None
    attention = attended(q, k, v, name, count, rotary, attend, attn_mask, stream)
    hidden = beside_hidden(attention, fused, block.mlp_act)
    del attention  # which is in `hidden`
    update = linear(block.linear2, hidden, count, mask, f"{name}.linear2")
    x = finite(x + gated(update, count, own, theirs))
    return x if theirs is None or mask is None else mask.part(x, count)


def _double_heads(
    block: Block,
    name: str,
    x: Tensor,
    txt: Tensor,
    count: int,
    modulations: tuple[Modulation, Modulation | None, Modulation],
    mask: MaskStream | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v (B, heads, S, D) of a double block's [text | image | mask]; modulations: image's, mask's, text's."""
    own, theirs, text = modulations
    normed = affine(block.img_norm1(x), count, own, theirs)
    qkv = linear(block.img_attn.qkv, normed, count, mask, f"{name}.img_attn.qkv")
    text_qkv = block.txt_attn.qkv(affine(block.txt_norm1(txt), txt.shape[1], text))
    parts = (
        split_heads(text_qkv, block.num_heads, block.txt_attn.norm),
        split_heads(qkv, block.num_heads, block.img_attn.norm),
    )
    return heads_first(*(torch.cat(pair, dim=1) for pair in zip(*parts, strict=True)))


def attended(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    name: str,
    others: int,
    rotary: Tensor | None,
    attend: Attend,
    attn_mask: Tensor | None,
    stream: MaskStream | None,
) -> Tensor:
    """The block's attention (B, Q, H), the host's rotary embedding and mask grown by the stream's."""
    if stream is None:
        return attend(q, k, v, rotary, attn_mask)
    k, v = stream.keys(name, k, v, others)
    sights = of_queries(q, stream.extend_mask(attn_mask, q, others))
    return attend(q, k, v, stream.extend_rotary(rotary), sights)


def of_queries(q: Tensor, sights: Tensor | ByStream | None) -> Tensor | ByStream | None:
    """The part of an attention mask that belongs to the first tokens, where q (B, heads, Q, D) has only those."""
    return sights[..., : q.shape[2], :] if isinstance(sights, Tensor) and sights.shape[-2] > 1 else sights


def modulate(
    lin: Block, vec: Tensor, chunks: int, mask: MaskStream | None = None, layer: str = ""
) -> tuple[Modulation, ...]:
    """The shifts, scales and gates that `vec` (B, H) gives: two triples for 6 chunks, one for 3."""
    activated = F.silu(vec[:, None])
    low_rank = mask.lora.get(layer) if mask is not None and mask.options.latent_lora else None
    parts = adapted(lin, activated, low_rank).chunk(chunks, dim=-1)
    return tuple(Modulation(*parts[i : i + 3]) for i in range(0, chunks, 3))


def linear(module: Block, x: Tensor, others: int, mask: MaskStream | None = None, layer: str = "") -> Tensor:
    """A shared Linear over [others | mask tokens], with the LoRA's addition on the mask tokens.

    The LoRA reads the input first: ComfyUI's legacy fp8 product clamps it in place.
    """
    low_rank = None if mask is None else mask.lora.get(layer)
    first = 0 if mask is not None and mask.options.latent_lora else others
    inner = None if low_rank is None else low_rank.inner(x[:, first:])
    if mask is not None and mask.separate_calls and x.shape[1] > others:
        out = torch.cat((call_linear(module, x[:, :others]), call_linear(module, x[:, others:])), dim=1)
    else:
        out = call_linear(module, x)
    if low_rank is not None and inner is not None:
        low_rank.add_to(out[:, first:], inner)
    return out


def call_linear(module: Block, x: Tensor) -> Tensor:
    """module(x); x (B, S, in) may be a part of wider rows."""
    weight: Any = getattr(module, "weight", None)
    plain = type(weight) in (Tensor, nn.Parameter) and weight.dtype.itemsize > 1
    out: Tensor
    if plain and not x.is_contiguous():
        # torch takes such rows and the bias in one product only where there is no dimension of the batch.
        out = module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    else:
        out = module(x.contiguous())  # kernels for quantised weights may count on whole rows
    return out


def mlp(layers: Block, x: Tensor, others: int, mask: MaskStream | None, name: str) -> Tensor:
    """A double block's MLP: Linear, activation, Linear."""
    if mask is None:
        plain: Tensor = layers(x)
        return plain
    hidden = linear(layers[0], x, others, mask, f"{name}.0")
    (hidden,) = overwrite(lambda part: (layers[1](part),), hidden)
    return linear(layers[2], hidden, others, mask, f"{name}.2")


def _add_to_image(update: Tensor, count: int) -> Tensor:
    """Option `add_condition_attention`: the mask's gated attention also moves the image's tokens."""
    own = update.shape[1] - count
    image = update[:, :own] + update[:, count:]
    return torch.cat((image, update[:, own:]), dim=1)
