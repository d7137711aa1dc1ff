"""MoGLE: one global and 19 local experts over mask latents, blended per token by a gate.

The gate depends on the full mask, the noisy image and the time (paper, section 3.3). The experts depend on their mask
alone, so their outputs are computed once per mask, and only the gate runs at each step.

Further conditions, such as a sketch, are further pictures with an expert each (`extra.py`). They add to the paper's
blend and leave its softmax as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...masks.labels import NUM_CLASSES, NUM_MASKS
from ..flux_latents import TOKEN_WIDTH
from .extra import EXPERT_WIDTH, ExtraExpert, ExtraWeight, check_names, is_given


@dataclass(frozen=True)
class MoGLEConfig:
    """The variant of the network. The default is Face-MoGLE itself; the others are those of the paper's Tables 3 to 5.

    experts: `both`, only the `global` one (full mask) or only the 19 `local` ones (Table 3).
    has_experts: False passes the latents on unchanged ("no experts", Table 5).
    gate: `matrix`, a weight per token; `scalar`, its mean over the tokens; `static`, independent of noise and time
    (Table 4); `none`, a plain sum (Table 5).
    extra: the names of the further conditions, in the order of their latents behind the 20 masks'.

    Raises:
        ValueError: a name of `extra` occurs twice, or is not one word in small letters.
    """

    experts: Literal["both", "global", "local"] = "both"
    has_experts: bool = True
    gate: Literal["matrix", "scalar", "static", "none"] = "matrix"
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.extra)

    @property
    def masks(self) -> slice:
        """The numbers of the masks, of 20, that have an expert."""
        first = 1 if self.experts == "local" else 0
        last = 1 if self.experts == "global" else NUM_MASKS
        return slice(first, last)

    @property
    def num_experts(self) -> int:
        """Of the masks, without those of further conditions."""
        return len(range(NUM_MASKS)[self.masks])

    @property
    def num_latents(self) -> int:
        """The masks and the further conditions."""
        return NUM_MASKS + len(self.extra)


class Experts(nn.Module):
    """The two layers of all experts as stacked weights, so that one batched product computes them all."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weight_in = nn.Parameter(torch.empty(count, EXPERT_WIDTH, TOKEN_WIDTH))
        self.bias_in = nn.Parameter(torch.empty(count, EXPERT_WIDTH))
        self.weight_out = nn.Parameter(torch.empty(count, TOKEN_WIDTH, EXPERT_WIDTH))
        self.bias_out = nn.Parameter(torch.empty(count, TOKEN_WIDTH))
        # torch's default initialisation for Linear, expert by expert.
        for tensor, fan_in in zip(
            self.parameters(), (TOKEN_WIDTH, TOKEN_WIDTH, EXPERT_WIDTH, EXPERT_WIDTH), strict=True
        ):
            nn.init.uniform_(tensor, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def forward(self, latents: Tensor) -> Tensor:
        """(B, E, L, 64) -> (B, E, L, 64)."""
        # A batched product needs the weights once for each picture; a single picture needs no copy.
        layers = (self.weight_in, self.bias_in, self.weight_out, self.bias_out)
        weight_in, bias_in, weight_out, bias_out = (
            layer.expand(len(latents), *layer.shape).flatten(0, 1) for layer in layers
        )
        hidden = torch.baddbmm(bias_in[:, None], latents.flatten(0, 1), weight_in.mT).relu_()
        return torch.baddbmm(bias_out[:, None], hidden, weight_out.mT).reshape(latents.shape)


class TimestepEmbedding(nn.Module):
    """A sinusoid of 64 channels through two Linears; t is in the checkpoint's unit."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)
        self.linear_2 = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)

    def forward(self, timestep: Tensor) -> Tensor:
        """(B,) -> (B, 64)."""
        angles = timestep.float()[:, None] * _frequencies(timestep.device)
        wave = torch.cat((angles.cos(), angles.sin()), dim=-1).to(self.linear_1.weight.dtype)
        embedding: Tensor = self.linear_2(F.silu(self.linear_1(wave)))
        return embedding


@lru_cache
def _frequencies(device: torch.device) -> Tensor:
    """exp(-ln 10000 k / 32) for k in 0..31, (32,) float32.

    At t = 1000 the last bit of a frequency shows in the gate, and float32's exp differs in that bit between
    processors. So exp is computed in float64 from each float32 exponent, and rounded once.
    """
    half = TOKEN_WIDTH // 2
    exponents = -math.log(10_000) * torch.arange(half, dtype=torch.float32) / half
    with torch.inference_mode(False):  # cached beyond this call, perhaps into a training step
        return torch.tensor([math.exp(exponent) for exponent in exponents.tolist()], device=device)


class Gate(nn.Module):
    """softmax over the experts of W2 relu(W1 (z0 + Wn x_t + time)), per token (paper, section 3.3)."""

    def __init__(self, count: int, static: bool) -> None:
        super().__init__()
        if not static:
            self.timestep_embedding = TimestepEmbedding()
            self.noise_proj = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)
        self.static = static
        self.gate = nn.Sequential(nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH), nn.ReLU(), nn.Linear(TOKEN_WIDTH, count))

    def hidden(self, full_mask: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
        """Tokens (B, L, 64) of the full mask and of the noisy image, t (B,) -> the hidden layer (B, L, 64)."""
        seen = full_mask
        if not self.static:
            seen = seen + self.noise_proj(noisy) + self.timestep_embedding(timestep)[:, None]
        layer, activation, _ = self.gate
        hidden: Tensor = activation(layer(seen))
        return hidden

    def weights(self, hidden: Tensor) -> Tensor:
        """The hidden layer (B, L, 64) -> weights (B, L, E), rows summing to one."""
        return torch.softmax(self.gate[2](hidden), dim=-1)

    def forward(self, full_mask: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
        """Tokens (B, L, 64) of the full mask and of the noisy image, t (B,) -> weights (B, L, E)."""
        return self.weights(self.hidden(full_mask, noisy, timestep))


class MoGLE(nn.Module):
    """The mixture: maps mask latents, noisy image and time to the mask stream's tokens.

    `forward` computes all of it. A sampler calls `expert_outputs` once per mask, and `gate_weights` and `blend` at
    each step. It computes in the dtype of its weights.
    """

    def __init__(self, config: MoGLEConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MoGLEConfig()
        self.experts = Experts(config.num_experts) if config.has_experts else None
        self.gating = None if config.gate == "none" else Gate(config.num_experts, static=config.gate == "static")
        self.extra_experts = nn.ModuleDict({name: ExtraExpert() for name in config.extra})
        gated = () if config.gate == "none" else config.extra
        self.extra_gating = nn.ModuleDict({name: ExtraWeight() for name in gated})

    def expert_outputs(self, latents: Tensor) -> Tensor:
        """Latents (B, 20 + K, L, 64), the full mask first, -> (B, L, E + K, 64), laid out for `blend`.

        K: the further conditions, in the configuration's order. One whose latent is zero everywhere is not given and
        adds nothing; (B, 20, L, 64) gives none of them.
        """
        used = latents[:, self.config.masks]
        outputs = used if self.experts is None else self.experts(used)
        outputs = outputs.transpose(1, 2).contiguous()
        if not self.config.extra:
            return outputs
        return torch.cat((outputs, self._extra_outputs(latents[:, NUM_MASKS:]).to(outputs.dtype)), dim=2)

    def _extra_outputs(self, latents: Tensor) -> Tensor:
        """Latents (B, K, L, 64) of the further conditions, or (B, 0, L, 64) for none -> (B, L, K, 64)."""
        batch, count, length, width = latents.shape
        if count == 0:
            return latents.new_zeros(batch, length, len(self.config.extra), width)
        each = [expert(latents[:, place]) for place, expert in enumerate(self.extra_experts.values())]
        outputs = torch.stack(each, dim=1)
        return torch.where(is_given(latents), outputs, torch.zeros_like(outputs)).transpose(1, 2)

    def gate_weights(self, full_mask: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor | None:
        """Tokens (B, L, 64) of full mask and noisy image, t (B,) -> (B, L, E + K); the first E sum to one.

        (B, 1, E + K) for a scalar gate, None without a gate. The last K are the further conditions', 0 to 1 each.
        """
        if self.gating is None:
            return None
        hidden = self.gating.hidden(full_mask, noisy, timestep)
        parts = [self.gating.weights(hidden), *(weight(hidden) for weight in self.extra_gating.values())]
        if self.config.gate == "scalar":
            parts = [part.mean(dim=1, keepdim=True) for part in parts]
        return torch.cat(parts, dim=-1) if self.config.extra else parts[0]

    def blend(self, outputs: Tensor, weights: Tensor | None, strengths: Tensor | None = None) -> Tensor:
        """Sum of the experts' outputs (B, L, E + K, 64) by weight (B, L, E + K) -> mask tokens (B, L, 64).

        strengths: (20 + K,) factors on the gate's weights. Those of the masks are then renormalised to a sum of one.
            A factor 0 removes that mask or condition. Without a gate they scale the plain sum. (K,) are those of the
            further conditions, and the masks' weights stay as they are to the bit.
        """
        if not self.config.extra:
            return self._blend_masks(outputs, weights, strengths)
        count = self.config.num_experts
        first = None if weights is None else weights[..., :count].contiguous()
        alone = strengths is not None and len(strengths) == len(self.config.extra)
        tokens = self._blend_masks(outputs[:, :, :count].contiguous(), first, None if alone else strengths)
        added = outputs[:, :, count:]
        if weights is not None:
            added = added * weights[..., count:, None]
        if strengths is not None:
            added = added * strengths[-len(self.config.extra) :, None].to(added)
        # As last, and in the masks' dtype: an expert that adds zeros leaves every bit as it was.
        return tokens + added.sum(dim=2).to(tokens.dtype)

    def _blend_masks(self, outputs: Tensor, weights: Tensor | None, strengths: Tensor | None) -> Tensor:
        if strengths is not None:
            factors = strengths[self.config.masks].to(outputs)
            weights = factors if weights is None else _reweighted(weights, factors)
        if weights is None:
            return outputs.sum(dim=2)
        return torch.matmul(weights.expand(outputs.shape[:-1])[:, :, None], outputs)[:, :, 0]

    def forward(self, latents: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
        """(B, 20 + K, L, 64), (B, L, 64), (B,) -> (B, L, 64)."""
        weights = self.gate_weights(latents[:, 0], noisy, timestep)
        return self.blend(self.expert_outputs(latents), weights)


def _reweighted(weights: Tensor, factors: Tensor) -> Tensor:
    scaled = weights * factors
    # If all experts of a token are removed, its mask token is zero rather than 0/0.
    return scaled / scaled.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(scaled.dtype).tiny)


# The official files hold one small MLP for each expert; `Experts` holds their weights stacked.
_EXPERT_LAYERS: Mapping[str, str] = {
    "weight_in": "net.0.weight",
    "bias_in": "net.0.bias",
    "weight_out": "net.2.weight",
    "bias_out": "net.2.bias",
}


def expert_names(config: MoGLEConfig) -> tuple[str, ...]:
    """The official names of this configuration's experts, in the order of the masks."""
    names = ("global_expert", *(f"local_experts.{i}" for i in range(NUM_CLASSES)))
    return names[config.masks]


def to_official(tensors: Mapping[str, Tensor], config: MoGLEConfig) -> dict[str, Tensor]:
    """Tensors under our parameter names (weights or gradients) -> under the official checkpoint's names."""
    official = {name: tensor for name, tensor in tensors.items() if not name.startswith("experts.")}
    if config.has_experts:
        for stacked, layer in _EXPERT_LAYERS.items():
            for expert, tensor in zip(expert_names(config), tensors[f"experts.{stacked}"], strict=True):
                official[f"{expert}.{layer}"] = tensor
    return official


def from_official(tensors: Mapping[str, Tensor], config: MoGLEConfig) -> dict[str, Tensor]:
    """The inverse of `to_official`. Raises KeyError for a missing tensor."""
    experts = expert_names(config)
    renamed = {name: tensor for name, tensor in tensors.items() if name.startswith(("gating.", "extra_"))}
    if config.has_experts:
        for stacked, layer in _EXPERT_LAYERS.items():
            renamed[f"experts.{stacked}"] = torch.stack([tensors[f"{expert}.{layer}"] for expert in experts])
    return renamed
