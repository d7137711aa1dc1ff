"""The FLUX.1 transformer with BFL's names, for use without ComfyUI; its blocks run through `stream`.

Its weights come from disk by `flux_files`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ..stream.attention import ByStream, StreamOptions, by_stream
from ..stream.blocks import MaskStream, double_block, single_block
from ..stream.kept_keys import Kept
from ..stream.lora import LowRank, adapted
from ..stream.mask_tokens import Grid, embed_tokens, mask_modulations, mask_positions, spread_positions
from ..stream.region_text import RegionText, join_context


@dataclass(frozen=True)
class FluxParams:
    """Every size of the transformer; the defaults are FLUX.1-dev's."""

    in_channels: int = 64
    out_channels: int = 64
    vec_in_dim: int = 768
    context_in_dim: int = 4096
    hidden_size: int = 3072
    mlp_ratio: float = 4.0
    num_heads: int = 24
    depth: int = 19
    depth_single_blocks: int = 38
    axes_dim: tuple[int, ...] = (16, 56, 56)
    theta: int = 10_000
    guidance_embed: bool = True

    def __post_init__(self) -> None:
        head, rest = divmod(self.hidden_size, self.num_heads)
        if rest or sum(self.axes_dim) != head or any(dim % 2 for dim in self.axes_dim):
            raise ValueError(
                f"Hidden size {self.hidden_size} over {self.num_heads} heads gives a head width that the "
                f"rope axes {self.axes_dim} do not add up to in even numbers: name the model's own axes_dim."
            )


@dataclass(frozen=True)
class MaskCondition:
    """What a forward pass needs of the mask: its tokens and how they join.

    tokens: (B, M, 64), MoGLE's output. grid: the mask's, rows * columns = M; the picture's, or a smaller one.
    guidance: the mask stream's guidance embedding; None takes the image's.
    texts: texts of single regions, beside the text of the pass.
    modulations: what `Flux.modulate_mask` gives, the same at every step of a run; None computes it.
    keep, reuse: as in `MaskStream`; a pass that reuses keys looks at no tokens.
    """

    tokens: Tensor
    grid: Grid
    lora: Mapping[str, LowRank] = field(default_factory=dict)
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    texts: tuple[RegionText, ...] = ()
    modulations: Mapping[str, Tensor] | None = None
    keep: Kept | None = None
    reuse: Kept | None = None


def timestep_embedding(t: Tensor, width: int = 256) -> Tensor:
    """(B,) in 0..1 (or guidance) -> (B, width): [cos | sin] of 1000 t at geometric frequencies."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=t.device) / half
    angles = 1000.0 * t.float()[:, None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def rope(ids: Tensor, axes_dim: tuple[int, ...], theta: int) -> Tensor:
    """Position ids (B, S, axes) -> rotation matrices (B, 1, S, D/2, 2, 2), float32 from float64."""
    parts = []
    for axis, dim in enumerate(axes_dim):
        omega = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64, device=ids.device) / dim)
        angle = ids[..., axis, None].double() * omega
        matrix = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), dim=-1)
        parts.append(rearrange(matrix, "b s d (i j) -> b s d i j", i=2))
    return torch.cat(parts, dim=-3).float()[:, None]


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turn each pair of channels of x (B, heads, Q, D) by its position's matrix (B, 1, S >= Q, D/2, 2, 2).

    x is a norm's fresh output and is overwritten, except under autograd.
    """
    turn = rotary[:, :, : x.shape[2]]
    if torch.compiler.is_compiling():  # which cannot fuse complex numbers
        pairs = x.float().reshape(*x.shape[:-1], -1, 1, 2)
        return (turn[..., 0] * pairs[..., 0] + turn[..., 1] * pairs[..., 1]).reshape(x.shape).type_as(x)
    # A turn by cos and sin is a product with cos + i sin, which takes a fifth of the time.
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    factors = torch.view_as_complex(turn[..., 0].contiguous())
    if torch.is_grad_enabled():
        return torch.view_as_real(pairs * factors).flatten(-2).type_as(x)
    turned = torch.view_as_real(pairs.mul_(factors)).flatten(-2)
    return turned if turned.dtype == x.dtype else x.copy_(turned)


def attend(q: Tensor, k: Tensor, v: Tensor, rotary: Tensor | None, mask: Tensor | ByStream | None) -> Tensor:
    """torch's scaled dot product attention after the rotary embedding (see `attention.Attend`)."""
    if rotary is not None:
        q, k = rotate(q, rotary), rotate(k, rotary)
    if isinstance(mask, ByStream):
        return by_stream(_without_positions, q, k, v, mask)
    return _without_positions(q, k, v, mask)


def _without_positions(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    if q.device.type == "cpu" and torch.is_grad_enabled():
        return rearrange(_plain_attention(q, k, v, mask), "b h s d -> b s (h d)")
    return rearrange(F.scaled_dot_product_attention(q, k, v, attn_mask=mask), "b h s d -> b s (h d)")


def _plain_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention written out: on a CPU a training step with torch's fused one takes a quarter longer."""
    logits = (q @ k.mT).float() / math.sqrt(q.shape[-1])
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask.float()
    return logits.softmax(dim=-1).to(v.dtype) @ v


class MLPEmbedder(nn.Module):
    def __init__(self, in_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.in_layer = nn.Linear(in_dim, hidden_dim)
        self.out_layer = nn.Linear(hidden_dim, hidden_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out_layer(F.silu(self.in_layer(x)))
        return out


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), eps=1e-6) * self.scale


class QKNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query_norm = RMSNorm(dim)
        self.key_norm = RMSNorm(dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_norm(q).to(v), self.key_norm(k).to(v)


class SelfAttention(nn.Module):
    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.norm = QKNorm(dim // num_heads)
        self.proj = nn.Linear(dim, dim)


class ModulationLinear(nn.Module):
    def __init__(self, dim: int, chunks: int) -> None:
        super().__init__()
        self.lin = nn.Linear(dim, chunks * dim)


def _mlp(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, dim))


def _norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)


class DoubleStreamBlock(nn.Module):
    """Text and image with weights of their own, one joint attention."""

    def __init__(self, params: FluxParams, name: str) -> None:
        super().__init__()
        dim, hidden = params.hidden_size, int(params.hidden_size * params.mlp_ratio)
        self.name, self.num_heads = name, params.num_heads
        self.img_mod, self.txt_mod = ModulationLinear(dim, 6), ModulationLinear(dim, 6)
        self.img_norm1, self.img_norm2 = _norm(dim), _norm(dim)
        self.txt_norm1, self.txt_norm2 = _norm(dim), _norm(dim)
        self.img_attn, self.txt_attn = SelfAttention(dim, self.num_heads), SelfAttention(dim, self.num_heads)
        self.img_mlp, self.txt_mlp = _mlp(dim, hidden), _mlp(dim, hidden)

    def forward(
        self, img: Tensor, txt: Tensor, vec: Tensor, rotary: Tensor, mask: MaskStream | None = None
    ) -> tuple[Tensor, Tensor]:
        return double_block(self, self.name, img, txt, vec, rotary, attend, mask=mask)


class SingleStreamBlock(nn.Module):
    """Text and image as one sequence, attention and MLP side by side."""

    def __init__(self, params: FluxParams, name: str, last: bool) -> None:
        super().__init__()
        dim, hidden = params.hidden_size, int(params.hidden_size * params.mlp_ratio)
        self.name, self.last = name, last
        self.num_heads, self.hidden_size = params.num_heads, dim
        self.modulation = ModulationLinear(dim, 3)
        self.pre_norm = _norm(dim)
        self.linear1 = nn.Linear(dim, 3 * dim + hidden)
        self.linear2 = nn.Linear(dim + hidden, dim)
        self.norm = QKNorm(dim // params.num_heads)
        self.mlp_act = nn.GELU(approximate="tanh")

    def forward(self, x: Tensor, vec: Tensor, rotary: Tensor, mask: MaskStream | None = None) -> Tensor:
        return single_block(self, self.name, x, vec, rotary, attend, mask=mask, last=self.last)


class LastLayer(nn.Module):
    def __init__(self, dim: int, out_channels: int) -> None:
        super().__init__()
        self.norm_final = _norm(dim)
        self.linear = nn.Linear(dim, out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))

    def forward(self, x: Tensor, vec: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(vec)[:, None].chunk(2, dim=-1)
        out: Tensor = self.linear(torch.addcmul(shift, self.norm_final(x), 1 + scale))
        return out


class Flux(nn.Module):
    """FLUX.1: noisy image tokens, text and time to the velocity noise - x0."""

    def __init__(self, params: FluxParams) -> None:
        super().__init__()
        self.params = params
        dim = params.hidden_size
        self.img_in = nn.Linear(params.in_channels, dim)
        self.txt_in = nn.Linear(params.context_in_dim, dim)
        self.time_in = MLPEmbedder(256, dim)
        self.vector_in = MLPEmbedder(params.vec_in_dim, dim)
        self.guidance_in = MLPEmbedder(256, dim) if params.guidance_embed else None
        self.double_blocks = nn.ModuleList(DoubleStreamBlock(params, f"double_blocks.{i}") for i in range(params.depth))
        self.single_blocks = nn.ModuleList(
            SingleStreamBlock(params, f"single_blocks.{i}", last=i == params.depth_single_blocks - 1)
            for i in range(params.depth_single_blocks)
        )
        self.final_layer = LastLayer(dim, params.out_channels)

    def vector(self, timestep: Tensor, pooled: Tensor, guidance: Tensor | None) -> Tensor:
        """The modulation vector: time (B,), pooled text (B, P), guidance (B,) -> (B, H)."""
        vec: Tensor = self.time_in(timestep_embedding(timestep).to(pooled))
        if self.guidance_in is not None and guidance is not None:
            vec = vec + self.guidance_in(timestep_embedding(guidance).to(pooled))
        vec = vec + self.vector_in(pooled)
        return vec

    def rotary(self, ids: Tensor) -> Tensor:
        """Position ids (B, S, 3) -> (B, 1, S, D/2, 2, 2)."""
        return rope(ids, self.params.axes_dim, self.params.theta)

    def modulate_mask(
        self,
        pooled: Tensor,
        guidance: Tensor | None,
        lora: Mapping[str, LowRank] | None = None,
        own_guidance: float | None = None,
    ) -> dict[str, Tensor]:
        """All blocks' modulations of the mask tokens (B, 1, 6H or 3H), whose time is always 0.

        pooled: (B, P). guidance: the image's (B,), or None. own_guidance: the mask's in its place.
        """
        if guidance is not None and own_guidance is not None:
            guidance = torch.full_like(guidance, own_guidance)
        return mask_modulations(self, self.vector(pooled.new_zeros(len(pooled)), pooled, guidance), lora)

    def open_stream(
        self,
        mask: MaskCondition,
        pooled: Tensor,
        guidance: Tensor | None,
        text: int = 0,
        grid: Grid | None = None,
    ) -> MaskStream:
        """The mask stream of one pass with `text` text tokens, over a picture of `grid`; None is the mask's own."""
        grid = grid or mask.grid
        ids = mask_positions(*grid, axes=len(self.params.axes_dim), device=pooled.device)
        tokens = mask.tokens.new_empty(len(pooled), 0, self.params.hidden_size)
        modulations = mask.modulations or {}
        if mask.reuse is None:
            tokens = embed_tokens(self, mask.tokens, mask.lora)
            modulations = modulations or self.modulate_mask(pooled, guidance, mask.lora, mask.guidance)
        return MaskStream(
            tokens=tokens,
            modulations=modulations,
            rotary=self.rotary(spread_positions(ids, grid, mask.grid)),
            lora=mask.lora,
            options=mask.options,
            texts=mask.texts,
            text=text,
            keep=mask.keep,
            reuse=mask.reuse,
        )

    def forward(
        self,
        img: Tensor,
        txt: Tensor,
        timestep: Tensor,
        pooled: Tensor,
        grid: tuple[int, int],
        guidance: Tensor | None = None,
        mask: MaskCondition | None = None,
    ) -> Tensor:
        """The velocity of one step.

        Args:
            img: noisy image tokens (B, N, 64). txt: text tokens (B, T, C). pooled: (B, P).
            timestep: sigma in 0..1 (B,). guidance: (B,) or None.
            grid: rows and columns of image tokens, rows * columns = N.
            mask: None is plain FLUX, to the bit.

        Returns:
            (B, N, 64).
        """
        low_rank = mask.lora.get("img_in") if mask is not None and mask.options.latent_lora else None
        img = adapted(self.img_in, img, low_rank)
        vec = self.vector(timestep, pooled, guidance)
        if mask is not None and mask.texts:
            txt = join_context(txt, mask.texts)
        txt = self.txt_in(txt)
        ids = mask_positions(*grid, axes=len(self.params.axes_dim), device=img.device)
        rotary = self.rotary(torch.cat((ids.new_zeros(1, txt.shape[1], ids.shape[-1]), ids), dim=1))
        stream = None if mask is None else self.open_stream(mask, pooled, guidance, txt.shape[1], grid)

        for block in self.double_blocks:
            img, txt = block(img, txt, vec, rotary, stream)
        count, x = img.shape[1], torch.cat((txt, img), dim=1)
        del txt, img
        for block in self.single_blocks:
            x = block(x, vec, rotary, stream)
        out: Tensor = self.final_layer(x[:, -count:], vec)
        return out
