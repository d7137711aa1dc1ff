"""FLUX.1's double and single blocks with the mask stream; written once for ComfyUI and for `flux.py`.

Mask tokens pass every block with the *image's* weights, at the image's positions, with a modulation vector
of their own (timestep 0), and everyone sees everyone: [text, image, mask]. The LoRA acts on the mask tokens
only. A block's sub-modules are called by BFL's names, which are ComfyUI's names too, and always as modules:
their weights may be quantised, streamed or not there yet.

Image and mask tokens go through each shared Linear in one call, as one tensor [image | mask], so that a
weight is moved or dequantised once. Between two blocks the host holds a view of its image part; while that
view comes back as it was handed out, nothing is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .attention import Attend, StreamOptions, attention_mask
from .lora import LowRank
from .modulation import Modulation, affine, double, finite, gated
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
    blocks: int = 0  # visited so far
    # What the last block left behind: [others | mask], and the part of it that the host was given.
    _joint: Tensor | None = None
    _handed_out: Tensor | None = None
    # The host hands the same embedding and mask to every block: extended once.
    _extended: dict[str, tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)

    def join(self, others: Tensor) -> Tensor:
        """The host's tokens (B, N, H) and the mask's as one tensor (B, N + M, H)."""
        if self._joint is not None and others is self._handed_out:
            return self._joint
        return torch.cat((others, self.tokens), dim=1)

    def part(self, joint: Tensor, others: int) -> Tensor:
        """Keep a block's result (B, N + M, H); returns the host's part of it, a view (B, N, H)."""
        self.blocks += 1
        self._joint, self._handed_out = joint, joint[:, :others]
        self.tokens = joint[:, others:]
        return self._handed_out

    def update(self, layer: str, x: Tensor, others: int) -> tuple[Tensor, int] | None:
        """The LoRA's addition to a Linear's output, computed before the Linear is called.

        x: the Linear's input (B, N + M, in), whose first `others` tokens are not the mask's.

        Returns:
            the addition and the first token to which it belongs; None where the LoRA has nothing.
        """
        low_rank = self.lora.get(layer)
        if low_rank is None:
            return None
        first = 0 if self.options.latent_lora else others
        return low_rank(x[:, first:]), first

    def modulation(self, layer: str, chunks: int) -> tuple[Tensor, ...]:
        return self.modulations[layer].chunk(chunks, dim=-1)

    def extend_rotary(self, rotary: Tensor | None) -> Tensor | None:
        """The host's embedding with the mask tokens' behind it; None stays None (no positions at all)."""
        if rotary is None:
            return None
        known, extended = self._extended.get("rotary", (None, None))
        if known is not rotary:
            own = self.rotary.to(rotary).expand(rotary.shape[0], *self.rotary.shape[1:])
            extended = torch.cat((rotary, own), dim=2)
            self._extended["rotary"] = (rotary, extended)
        return extended

    def extend_mask(self, mask: Tensor | None, like: Tensor, others: int) -> Tensor | None:
        """The host's attention mask grown by the mask tokens, with these options in it; None if it can be."""
        name = f"mask{others}"
        known, extended = self._extended.get(name, (None, None))
        if name not in self._extended or known is not mask:
            own = self.tokens.shape[1]
            extended = attention_mask(mask, others, own, self.options, like, self.texts, self.text)
            self._extended[name] = (mask, extended)
        return extended


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
    count = img.shape[1]
    own = modulate(block.img_mod.lin, vec, 6, mask, f"{name}.img_mod.lin")
    text = modulate(block.txt_mod.lin, vec, 6)
    theirs = (None, None) if mask is None else double(mask.modulation(f"{name}.img_mod.lin", 6))
    x = img if mask is None else mask.join(img)

    normed = affine(block.img_norm1(x), count, own[0], theirs[0])
    qkv = linear(block.img_attn.qkv, normed, count, mask, f"{name}.img_attn.qkv")
    q, k, v = split_heads(qkv, block.num_heads, block.img_attn.norm)
    text_qkv = block.txt_attn.qkv(affine(block.txt_norm1(txt), txt.shape[1], text[0]))
    text_q, text_k, text_v = split_heads(text_qkv, block.num_heads, block.txt_attn.norm)
    q, k, v = (torch.cat(pair, dim=2) for pair in ((text_q, q), (text_k, k), (text_v, v)))
    if mask is not None:
        mask.text = txt.shape[1]
        rotary = mask.extend_rotary(rotary)
        attn_mask = mask.extend_mask(attn_mask, q, txt.shape[1] + count)
    attention = attend(q, k, v, rotary, attn_mask)
    text_attention, attention = attention[:, : txt.shape[1]], attention[:, txt.shape[1] :]

    update = linear(block.img_attn.proj, attention, count, mask, f"{name}.img_attn.proj")
    update = gated(update, count, own[0], theirs[0])
    if mask is not None and mask.options.add_condition_attention:
        update = _add_to_image(update, count)
    x = x + update
    normed = affine(block.img_norm2(x), count, own[1], theirs[1])
    x = x + gated(mlp(block.img_mlp, normed, count, mask, f"{name}.img_mlp"), count, own[1], theirs[1])

    txt = txt + block.txt_attn.proj(text_attention) * text[0].gate
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
    count = x.shape[1]
    (own,) = modulate(block.modulation.lin, vec, 3, mask, f"{name}.modulation.lin")
    theirs = None if mask is None else Modulation(*mask.modulation(f"{name}.modulation.lin", 3))
    x = x if mask is None else mask.join(x)

    normed = affine(block.pre_norm(x), count, own, theirs)
    qkv, hidden = linear(block.linear1, normed, count, mask, f"{name}.linear1").tensor_split(
        [3 * block.hidden_size], dim=-1
    )
    q, k, v = split_heads(qkv, block.num_heads, block.norm)
    if mask is not None:
        rotary = mask.extend_rotary(rotary)
        attn_mask = mask.extend_mask(attn_mask, q, count)
        if last:
            mask.blocks += 1
            q, hidden, x, theirs = q[:, :, :count], hidden[:, :count], x[:, :count], None
            attn_mask = attn_mask if attn_mask is None else attn_mask[..., :count, :]
            mask = mask if mask.options.latent_lora else None
    attention = attend(q, k, v, rotary, attn_mask)

    joined = torch.cat((attention, block.mlp_act(hidden)), dim=2)
    update = linear(block.linear2, joined, count, mask, f"{name}.linear2")
    x = finite(x + gated(update, count, own, theirs))
    return x if theirs is None or mask is None else mask.part(x, count)


def modulate(
    lin: Block, vec: Tensor, chunks: int, mask: MaskStream | None = None, layer: str = ""
) -> tuple[Modulation, ...]:
    """The shifts, scales and gates that `vec` (B, H) gives: two triples for 6 chunks, one for 3."""
    activated = F.silu(vec[:, None])
    update = None
    if mask is not None and mask.options.latent_lora:
        update = mask.update(layer, activated, 0)
    out = lin(activated)
    if update is not None:
        out = out + update[0]
    parts = out.chunk(chunks, dim=-1)
    return tuple(Modulation(*parts[i : i + 3]) for i in range(0, chunks, 3))


def linear(
    module: Block, x: Tensor, others: int, mask: MaskStream | None = None, layer: str = ""
) -> Tensor:
    """A shared Linear over [others | mask tokens], with the LoRA's addition on the mask tokens.

    The addition is computed first: ComfyUI's legacy fp8 product clamps its input in place.
    """
    update = None if mask is None else mask.update(layer, x, others)
    out: Tensor
    if mask is not None and mask.separate_calls and x.shape[1] > others:
        out = torch.cat((module(x[:, :others]), module(x[:, others:])), dim=1)
    else:
        out = module(x)
    if update is not None:
        addition, first = update
        span = out[:, first:] if addition.shape[-1] == out.shape[-1] else out[:, first:, : addition.shape[-1]]
        span.add_(addition)
    return out


def mlp(layers: Block, x: Tensor, others: int, mask: MaskStream | None, name: str) -> Tensor:
    """A double block's MLP: Linear, activation, Linear."""
    if mask is None:
        plain: Tensor = layers(x)
        return plain
    hidden = layers[1](linear(layers[0], x, others, mask, f"{name}.0"))
    return linear(layers[2], hidden, others, mask, f"{name}.2")


def split_heads(qkv: Tensor, heads: int, norm: Block) -> tuple[Tensor, Tensor, Tensor]:
    """(B, S, 3 H) -> normalised q and k, and v: (B, heads, S, D) each."""
    q, k, v = rearrange(qkv, "b s (three h d) -> three b h s d", three=3, h=heads)
    q, k = norm(q, k, v)
    return q, k, v


def _add_to_image(update: Tensor, count: int) -> Tensor:
    """Option `add_condition_attention`: the mask's gated attention also moves the image's tokens."""
    own = update.shape[1] - count
    image = update[:, :own] + update[:, count:]
    return torch.cat((image, update[:, own:]), dim=1)


def mask_positions(height: int, width: int, axes: int = 3, device: torch.device | None = None) -> Tensor:
    """The mask tokens' position ids: the image's own, (0, row, column) -> (1, height * width, axes)."""
    ids = torch.zeros(height, width, axes, device=device, dtype=torch.float32)
    ids[..., 1] = torch.arange(height, device=device)[:, None]
    ids[..., 2] = torch.arange(width, device=device)[None]
    return ids.reshape(1, height * width, axes)


def mask_modulations(
    flux: Block, vec: Tensor, lora: Mapping[str, LowRank] | None = None
) -> dict[str, Tensor]:
    """All blocks' modulations of the mask tokens, (B, 1, 6H) and (B, 1, 3H): constant over the steps.

    Args:
        flux: the transformer, with `double_blocks` and `single_blocks`.
        vec: the mask stream's vector (B, H): timestep 0, guidance and pooled text.
    """
    activated = F.silu(vec[:, None])
    linears = {
        **{f"double_blocks.{i}.img_mod.lin": block.img_mod.lin for i, block in enumerate(flux.double_blocks)},
        **{
            f"single_blocks.{i}.modulation.lin": block.modulation.lin
            for i, block in enumerate(flux.single_blocks)
        },
    }
    modulations = {}
    for name, lin in linears.items():
        update = lora[name](activated) if lora and name in lora else None
        out = lin(activated)
        modulations[name] = out if update is None else out + update
    return modulations


def embed_tokens(flux: Block, tokens: Tensor, lora: Mapping[str, LowRank] | None = None) -> Tensor:
    """Mask tokens (B, M, 64) through the image's `img_in` and its LoRA -> (B, M, H)."""
    update = lora["img_in"](tokens) if lora and "img_in" in lora else None
    out: Tensor = flux.img_in(tokens)
    return out if update is None else out + update
