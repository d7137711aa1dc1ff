"""A LoRA's update of FLUX's Linears: as trained pairs, and fused for one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layer_names import layer_of
from .lora_scale import LoRAError


class LowRank(NamedTuple):
    """One Linear's update: x -> up(down(x)), with alpha, rank and strength already in `up`."""

    down: Tensor  # (R, in)
    up: Tensor  # (out, R); may omit the Linear's last rows, which then get no update

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(self.inner(x), self.up)

    def inner(self, x: Tensor) -> Tensor:
        """down(x): (..., in) -> (..., R)."""
        return F.linear(x, self.down)

    def add_to(self, out: Tensor, inner: Tensor) -> None:
        """Add up(inner), of `inner` (B, S, R), to a Linear's fresh output (B, S, >= out)."""
        rows = out[..., : self.up.shape[0]]
        if torch.is_grad_enabled() or not rows.dtype == inner.dtype == self.up.dtype:
            rows.add_(F.linear(inner, self.up))
        else:  # as one operation, without a temporary as wide as `out`
            rows.baddbmm_(inner, self.up.mT.expand(len(out), -1, -1))


def adapted(linear: Callable[[Tensor], Tensor], x: Tensor, low_rank: LowRank | None) -> Tensor:
    """linear(x), plus the update if there is one.

    The update reads x first: ComfyUI's legacy fp8 product clamps it in place.
    """
    update = None if low_rank is None else low_rank(x)
    out = linear(x)
    return out if update is None else out + update


@dataclass(frozen=True)
class LoRAPart:
    """One trained pair and the rows of the fused Linear on which it acts."""

    start: int
    down: Tensor  # (r, in)
    up: Tensor  # (rows, r)
    alpha: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def stop(self) -> int:
        return self.start + self.up.shape[0]


class MaskLoRA(nn.Module):
    """The trained pairs, one or several for each of BFL's Linears. They are trainable."""

    def __init__(self, parts: Mapping[str, Sequence[LoRAPart]]) -> None:
        super().__init__()
        self.rows: dict[str, tuple[tuple[int, float], ...]] = {}
        self.pairs: dict[str, nn.ParameterList] = {}
        for name, pairs in parts.items():
            ordered = sorted(pairs, key=lambda part: part.start)
            self.rows[name] = tuple((part.start, part.alpha) for part in ordered)
            self.pairs[name] = nn.ParameterList(
                [nn.Parameter(tensor) for part in ordered for tensor in (part.down, part.up)]
            )
            self.add_module(_key(name), self.pairs[name])

    def parts(self, name: str) -> tuple[LoRAPart, ...]:
        """The pairs of one Linear, ordered by row."""
        tensors = list(self.pairs[name])
        return tuple(
            LoRAPart(start, down, up, alpha)
            for (start, alpha), down, up in zip(self.rows[name], tensors[::2], tensors[1::2], strict=True)
        )

    def low_rank(self, strength: float = 1.0) -> dict[str, LowRank]:
        """The update of every Linear, fused over its rows; differentiable."""
        return {name: fuse(self.parts(name), strength) for name in self.rows}

    @property
    def width(self) -> int:
        """The hidden width of the transformer for which it was trained."""
        return hidden_width({name: self.parts(name) for name in self.rows})


class FusedLoRA(nn.Module):
    """The fused update as frozen weights of one dtype, ready to be moved to a device and applied."""

    def __init__(self, lora: MaskLoRA, dtype: torch.dtype, strength: float = 1.0) -> None:
        super().__init__()
        self.names = tuple(lora.rows)
        self.width = lora.width
        with torch.no_grad():
            for name, update in lora.low_rank(strength).items():
                for kind, tensor in zip(("down", "up"), update, strict=True):
                    # A copy, so that moving or freeing it does not affect the file's tensors.
                    weight = nn.Parameter(tensor.to(dtype, copy=True), requires_grad=False)
                    self.register_parameter(f"{_key(name)}:{kind}", weight)

    def low_rank(self) -> dict[str, LowRank]:
        """The update of every Linear, on the weights' current device."""
        get = self.get_parameter
        return {name: LowRank(get(f"{_key(name)}:down"), get(f"{_key(name)}:up")) for name in self.names}


def fuse(parts: Sequence[LoRAPart], strength: float = 1.0) -> LowRank:
    """Several pairs on rows of one Linear -> one: down stacked, up on a block diagonal (exact)."""
    down = torch.cat([part.down for part in parts])
    up = down.new_zeros(max(part.stop for part in parts), down.shape[0])
    column = 0
    for part in parts:
        block = up[part.start : part.stop, column : column + part.rank]
        block.copy_(part.up * (strength * part.alpha / part.rank))
        column += part.rank
    return LowRank(down, up)


def hidden_width(parts: Mapping[str, Sequence[LoRAPart]]) -> int:
    """The transformer's hidden width, from any layer that reads or writes it."""
    for name, pairs in parts.items():
        if layer_of(name) in ("img_in", "img_attn.proj", "img_mlp.2", "linear2"):
            return pairs[0].up.shape[0]
        return pairs[0].down.shape[1]
    raise LoRAError("This LoRA file holds no layer at all.")


def _key(name: str) -> str:
    # torch allows no dot in a module's name.
    return name.replace(".", "/")
