"""The mask stream's LoRA: read from any of its namings, mapped onto FLUX's fused rows, written back.

It acts on the mask tokens only (official option `latent_lora: false`), so it is never merged into the
weights. A fused Linear such as `img_attn.qkv` takes the separate pairs of q, k and v at once: their `down`
matrices stacked, their `up` matrices on a block diagonal. That is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layer_names import MASK_STREAM_LAYERS, from_diffusers, from_kohya, is_bfl, layer_of, to_diffusers


class LoRAError(ValueError):
    """A LoRA file that cannot be the mask stream's; the message says why and what to do."""


class LowRank(NamedTuple):
    """One Linear's update: x -> up(down(x)), with alpha, rank and strength already in `up`."""

    down: Tensor  # (R, in)
    up: Tensor  # (out, R); may stop short of the Linear's last rows, which then get nothing

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
        else:  # as one operation: nothing as wide as `out` in between
            rows.baddbmm_(inner, self.up.mT.expand(len(out), -1, -1))


def adapted(linear: Callable[[Tensor], Tensor], x: Tensor, low_rank: LowRank | None) -> Tensor:
    """linear(x) with its update, if there is one.

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
    """The pairs as they were trained, one or several for each of BFL's Linears; trainable."""

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
        """The pairs of one Linear, by row."""
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
        """The hidden width of the transformer that it was made for."""
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
                    # A copy, so that moving or freeing this one never touches the file's.
                    weight = nn.Parameter(tensor.to(dtype, copy=True), requires_grad=False)
                    self.register_parameter(f"{_key(name)}:{kind}", weight)

    def low_rank(self) -> dict[str, LowRank]:
        """The update of every Linear, where the weights are now."""
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


def parse(tensors: Mapping[str, Tensor], default_alpha: float | None = None) -> MaskLoRA:
    """A LoRA file's tensors, in any naming, to the mask stream's LoRA; every tensor is accounted for.

    Namings: diffusers/PEFT (with or without `transformer.`, `.lora_A/.lora_B`), BFL's own (with or without
    `diffusion_model.`) and kohya's (`lora_unet_...`, `.lora_down/.lora_up`). A missing alpha means
    alpha = rank, which is how the official files are to be read.

    Args:
        tensors: the file's tensors.
        default_alpha: alpha for pairs without one of their own, from the file's metadata.

    Raises:
        LoRAError: left-over or unpaired tensors, layers that the mask stream does not have, odd shapes.
    """
    down: dict[str, Tensor] = {}
    up: dict[str, Tensor] = {}
    alpha: dict[str, float] = {}
    unknown = []
    for key, tensor in tensors.items():
        match = re.fullmatch(r"(.+?)\.(lora_A|lora_B|lora_down|lora_up|alpha)(\.default)?(\.weight)?", key)
        if match is None:
            unknown.append(key)
        elif match[2] == "alpha":
            alpha[match[1]] = float(tensor)
        else:
            side = down if match[2] in ("lora_A", "lora_down") else up
            if match[1] in side:
                raise LoRAError(f"The file has two LoRA pairs for {match[1]!r}: it mixes two namings.")
            side[match[1]] = tensor
    _refuse_leftovers(unknown, down, up, alpha)

    parts: dict[str, list[LoRAPart]] = {}
    for module, matrix in down.items():
        name, index = _target(module)
        _check_pair(module, matrix, up[module])
        rank, width = matrix.shape
        start = index * width  # q, k and v are as wide as their input; the MLP comes after them
        value = alpha.get(module, default_alpha if default_alpha is not None else float(rank))
        parts.setdefault(name, []).append(LoRAPart(start, matrix, up[module], value))
    _refuse_overlaps(parts)
    if len(widths := {hidden_width({name: pairs}) for name, pairs in parts.items()}) > 1:
        raise LoRAError(f"The LoRA's pairs were made for transformers of different widths: {sorted(widths)}.")
    return MaskLoRA(parts)


def write(lora: MaskLoRA) -> dict[str, Tensor]:
    """The official form: diffusers' names under `transformer.`, each pair with its alpha.

    A pair that acts on several of diffusers' modules at once (kohya's `qkv`) is written once for each.
    """
    tensors: dict[str, Tensor] = {}
    for name in lora.rows:
        modules = to_diffusers(name) or ()
        for part in lora.parts(name):
            for module, start, stop in _module_rows(modules, part):
                prefix = f"transformer.{module}"
                tensors[f"{prefix}.lora_A.weight"] = part.down
                tensors[f"{prefix}.lora_B.weight"] = part.up[start - part.start : stop - part.start]
                tensors[f"{prefix}.alpha"] = torch.tensor(part.alpha)
    return tensors


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


def _target(module: str) -> tuple[str, int]:
    """The BFL layer and the part of its rows on which the file's `module` acts."""
    bare = re.sub(r"^(model\.)?(transformer|diffusion_model)\.", "", module)
    bare = re.sub(r"^lora_(unet|transformer)_", "", bare)
    target: tuple[str, int] | None = (bare, 0) if is_bfl(bare) else from_diffusers(bare)
    if target is None and (name := from_kohya(bare)):
        target = (name, 0)
    if target is None:
        raise LoRAError(f"The LoRA acts on {module!r}, which FLUX.1 does not have: it was made for another base model.")
    if layer_of(target[0]) not in MASK_STREAM_LAYERS:
        raise LoRAError(
            f"The LoRA acts on {module!r}, a layer that mask tokens never pass. This looks like an ordinary "
            "FLUX LoRA: load it with ComfyUI's own LoRA loader, and give LoRA Apply Face-MoGLE's "
            "pytorch_lora_weights.safetensors."
        )
    return target


def _module_rows(modules: Sequence[str], part: LoRAPart) -> list[tuple[str, int, int]]:
    """Which of diffusers' `modules` share the part's rows: (module, first row, end of rows)."""
    if len(modules) == 1:
        return [(modules[0], part.start, part.stop)]
    width = part.down.shape[1]
    starts = [i * width for i in range(len(modules))]
    stops = [*starts[1:], max(part.stop, starts[-1] + 1)]
    return [
        (module, max(start, part.start), min(stop, part.stop))
        for module, start, stop in zip(modules, starts, stops, strict=True)
        if start < part.stop and stop > part.start
    ]


def _refuse_leftovers(
    unknown: Sequence[str], down: Mapping[str, Tensor], up: Mapping[str, Tensor], alpha: Mapping[str, float]
) -> None:
    if unknown:
        raise LoRAError(
            f"{len(unknown)} tensors of the file belong to no LoRA pair, the first is {unknown[0]!r}: "
            "this is not a LoRA of the mask stream."
        )
    if single := sorted(set(down) ^ set(up)):
        raise LoRAError(f"The LoRA pair of {single[0]!r} is incomplete: one of its two matrices is missing.")
    if single := sorted(set(alpha) - set(down)):
        raise LoRAError(f"The file has an alpha for {single[0]!r} but no LoRA pair for it.")
    if not down:
        raise LoRAError("This file holds no LoRA pair.")


def _check_pair(module: str, down: Tensor, up: Tensor) -> None:
    if down.ndim != 2 or up.ndim != 2 or up.shape[1] != down.shape[0]:
        raise LoRAError(
            f"The LoRA pair of {module!r} does not fit together: down is {tuple(down.shape)} and up is "
            f"{tuple(up.shape)}, expected (rank, in) and (out, rank)."
        )


def _refuse_overlaps(parts: Mapping[str, Sequence[LoRAPart]]) -> None:
    for name, pairs in parts.items():
        ordered = sorted(pairs, key=lambda part: part.start)
        for first, second in zip(ordered, ordered[1:], strict=False):
            if first.stop > second.start or first.down.shape[1] != second.down.shape[1]:
                raise LoRAError(
                    f"Two LoRA pairs meet on the same rows of {name!r}: the file mixes two namings, or its "
                    "pairs were made for layers of different width."
                )
