"""FLUX.1's double and single blocks with the mask stream, shared by ComfyUI and `flux/`.

Mask tokens pass every block with the *image's* weights and positions. A separate vector (timestep 0) modulates them.
Every token sees every other: [text, image, mask]. The LoRA acts on the mask tokens only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .attention import Attend, ByStream
from .heads import beside_hidden, heads_first, split_heads
from .mask_stream import MaskStream
from .modulation import Modulation, affine, double, finite, gated
from .shared_layers import linear, mlp, modulate
from .transformer import DoubleBlock, SingleBlock


def double_block(
    block: DoubleBlock,
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
        img: (B, N, H). txt: (B, T, H). vec: (B, H). rotary: (B, 1, T + N, D/2, 2, 2).
        attn_mask: over [text, image], or None.

    Returns:
        img and txt of the same shapes; the mask tokens stay in `mask`.
    """
    # prepare: image and mask tokens as one tensor, each with its modulation
    stream, count = mask, img.shape[1]
    mask = None if mask is None else mask.running
    image_mod = modulate(block.img_mod.lin, vec, 6, mask, f"{name}.img_mod.lin")
    text_mod = modulate(block.txt_mod.lin, vec, 6)
    mask_mod = (None, None) if mask is None else double(mask.given.modulation(f"{name}.img_mod.lin", 6))
    x = img if mask is None else mask.join(img)
    if stream is not None:
        stream.text = txt.shape[1]

    # joint attention
    heads = _double_heads(block, name, x, txt, count, (image_mod[0], mask_mod[0], text_mod[0]), mask)
    attention = attended(*heads, name, txt.shape[1] + count, rotary, attend, attn_mask, stream)
    text_attention, attention = attention[:, : txt.shape[1]], attention[:, txt.shape[1] :]
    text_update = block.txt_attn.proj(text_attention) * text_mod[0].gate
    update = linear(block.img_attn.proj, attention, count, mask, f"{name}.img_attn.proj")
    del heads, attention, text_attention  # before the MLP allocates its wide hidden layer
    update = gated(update, count, image_mod[0], mask_mod[0])
    if mask is not None and mask.given.options.add_condition_attention:
        update = _add_to_image(update, count, mask.given.absent)

    # update: attention, then MLP
    x = x + update
    normed = affine(block.img_norm2(x), count, image_mod[1], mask_mod[1])
    x = x + gated(mlp(block.img_mlp, normed, count, mask, f"{name}.img_mlp"), count, image_mod[1], mask_mod[1])
    txt = txt + text_update
    normed = affine(block.txt_norm2(txt), txt.shape[1], text_mod[1])
    txt = txt + block.txt_mlp(normed) * text_mod[1].gate
    return (x if mask is None else mask.part(x, count)), finite(txt)


def single_block(
    block: SingleBlock,
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
        last: this is the last block, so only the mask tokens' keys and values are needed.

    Returns:
        x of the same shape; the mask tokens stay in `mask`.
    """
    # prepare: text, image and mask tokens as one tensor, two modulations
    stream, count = mask, x.shape[1]
    mask = None if mask is None else mask.running
    (host_mod,) = modulate(block.modulation.lin, vec, 3, mask, f"{name}.modulation.lin")
    mask_mod = None if mask is None else Modulation(*mask.given.modulation(f"{name}.modulation.lin", 3))
    x = x if mask is None else mask.join(x)

    # attention beside the MLP
    fused = linear(block.linear1, affine(block.pre_norm(x), count, host_mod, mask_mod), count, mask, f"{name}.linear1")
    q, k, v = heads_first(*split_heads(fused[..., : 3 * block.hidden_size], block.num_heads, block.norm))
    if stream is not None and last:
        q, fused, x, mask_mod = q[:, :, :count], fused[:, :count], x[:, :count], None
        mask = mask if stream.given.options.latent_lora else None
    attention = attended(q, k, v, name, count, rotary, attend, attn_mask, stream)
    hidden = beside_hidden(attention, fused, block.mlp_act)
    del attention  # `hidden` holds it

    # update
    update = linear(block.linear2, hidden, count, mask, f"{name}.linear2")
    x = finite(x + gated(update, count, host_mod, mask_mod))
    return x if mask_mod is None or mask is None else mask.part(x, count)


def _double_heads(
    block: DoubleBlock,
    name: str,
    x: Tensor,
    txt: Tensor,
    count: int,
    modulations: tuple[Modulation, Modulation | None, Modulation],
    mask: MaskStream | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v (B, heads, S, D) of a double block's [text | image | mask]; modulations: image's, mask's, text's."""
    image_mod, mask_mod, text_mod = modulations
    normed = affine(block.img_norm1(x), count, image_mod, mask_mod)
    qkv = linear(block.img_attn.qkv, normed, count, mask, f"{name}.img_attn.qkv")
    text_qkv = block.txt_attn.qkv(affine(block.txt_norm1(txt), txt.shape[1], text_mod))
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
    """The block's attention (B, Q, H), with the stream's part appended to the host's rotary embedding and mask."""
    if stream is None:
        return attend(q, k, v, rotary, attn_mask)
    k, v = stream.keys(name, k, v, others)
    sights = of_queries(q, stream.extend_mask(name, attn_mask, q, others))
    return attend(q, k, v, stream.extend_rotary(rotary), sights)


def of_queries(q: Tensor, sights: Tensor | ByStream | None) -> Tensor | ByStream | None:
    """The rows of an attention mask for the queries q (B, heads, Q, D), which may be only the first ones."""
    return sights[..., : q.shape[2], :] if isinstance(sights, Tensor) and sights.shape[-2] > 1 else sights


def _add_to_image(update: Tensor, count: int, absent: Tensor | None) -> Tensor:
    """Option `add_condition_attention`: the mask's gated attention is also added to the image tokens."""
    masks, added = update.shape[1] - count, update[:, count:]
    image = update[:, :masks] + (added if absent is None else added.masked_fill(absent[:, None, None], 0))
    return torch.cat((image, update[:, masks:]), dim=1)
