"""The layers and blocks of FLUX.1, with BFL's names. `stream/blocks.py` runs the blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..stream.blocks import double_block, single_block
from ..stream.mask_stream import MaskStream
from ..stream.modulation import SINUSOID_WIDTH
from .attention import attend
from .params import FluxParams


def timestep_embedding(t: Tensor, width: int = SINUSOID_WIDTH) -> Tensor:
    """(B,) in 0..1 (or guidance) -> (B, width): [cos | sin] of 1000 t at geometric frequencies."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=t.device) / half
    angles = 1000.0 * t.float()[:, None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


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
    """Text and image have separate weights and one joint attention."""

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
    """Text and image are one sequence; attention and MLP run in parallel."""

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
