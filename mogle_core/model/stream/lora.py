"""The mask stream's LoRA: reads all namings, maps them onto FLUX's fused rows, and writes them back.

It acts on the mask tokens only (official option `latent_lora: false`), so it is never merged into the
weights. A fused Linear such as `img_attn.qkv` takes the separate pairs of q, k and v at once: their `down`
matrices stacked, their `up` matrices on a block diagonal. That is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .layer_names import MASK_STREAM_LAYERS, layer_of, to_diffusers
from .lora_names import is_bias, is_text_encoders, layer_and_part, method_of, read_key, shown
from .lora_scale import LoRAError, Scaling
from .low_rank import FusedLoRA, LoRAPart, LowRank, MaskLoRA, adapted, fuse, hidden_width

__all__ = [
    "FusedLoRA",
    "LoRAError",
    "LoRAPart",
    "LowRank",
    "MaskLoRA",
    "Scaling",
    "adapted",
    "finite_float",
    "fuse",
    "hidden_width",
    "parse",
    "write",
]

_ROWS = {"img_mod.lin": 6, "img_attn.qkv": 3, "img_mlp.0": 4, "modulation.lin": 3, "linear1": 7}
"""The layers' rows in multiples of the hidden width; layers that are not listed have 1."""

_ORDINARY = (
    "This looks like an ordinary FLUX LoRA: load it with ComfyUI's own LoRA loader, and give LoRA Apply Face-MoGLE's "
    "pytorch_lora_weights.safetensors."
)


def parse(tensors: Mapping[str, Tensor], default_alpha: float | Scaling | None = None) -> MaskLoRA:
    """Convert a LoRA file's tensors, in any naming, to the mask stream's LoRA. Every tensor must be used.

    `lora_names` defines the namings. 8-bit floats become float32. A missing alpha means alpha = rank, as in the
    official files.

    Args:
        tensors: the file's tensors.
        default_alpha: for pairs without an alpha tensor: one alpha, or what the file's metadata says.

    Raises:
        LoRAError: left-over or unpaired tensors, layers that the mask stream does not have, odd shapes, numbers
            that are not finite floats, or another method than LoRA.
    """
    scaling = default_alpha if isinstance(default_alpha, Scaling) else Scaling(default_alpha)
    down, up, alpha = _sorted_out(tensors)
    parts: dict[str, list[LoRAPart]] = {}
    for module, matrix in down.items():
        name, index = _target(module)
        _check_pair(module, matrix, up[module])
        rank, width = matrix.shape
        start = index * width  # q, k and v are as wide as their input; the MLP comes after them
        value = alpha[module] if module in alpha else scaling.alpha_of(module, rank)
        parts.setdefault(name, []).append(LoRAPart(start, matrix, up[module], value))
    _refuse_overlaps(parts)
    _refuse_too_many_rows(parts)
    if len(widths := {hidden_width({name: pairs}) for name, pairs in parts.items()}) > 1:
        raise LoRAError(f"The LoRA's pairs were made for transformers of different widths: {sorted(widths)}.")
    return MaskLoRA(parts)


def _sorted_out(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, float]]:
    """Sort the tensors by module into down matrices, up matrices and alphas."""
    down: dict[str, Tensor] = {}
    up: dict[str, Tensor] = {}
    alpha: dict[str, float] = {}
    unknown, adapters = [], {}
    for key, tensor in tensors.items():
        if (method := method_of(key)) is not None:
            raise LoRAError(
                f"This is a {method}, not a LoRA (it has {shown(key)}): the mask stream takes plain LoRA pairs only. "
                "For another style, load the file with ComfyUI's own LoRA loader."
            )
        if is_bias(key):
            raise LoRAError(
                f"The LoRA has biases (first: {shown(key)}), which the mask stream does not add: train it without "
                "them (PEFT's lora_bias)."
            )
        place = read_key(key)
        if place is None:
            unknown.append(key)
        elif place.side == "alpha":
            alpha[place.module] = _alpha(place.module, tensor)
        else:
            side = down if place.side == "down" else up
            adapters[place.adapter] = key
            if len(adapters) > 1:
                raise LoRAError(f"The file holds several adapters ({', '.join(map(shown, adapters))}): save one alone.")
            if place.module in side:
                raise LoRAError(f"The file has two LoRA pairs for {shown(place.module)}: it mixes two namings.")
            side[place.module] = finite_float(key, tensor)
    _refuse_leftovers(unknown, down, up, alpha)
    return down, up, alpha


def _alpha(module: str, tensor: Tensor) -> float:
    if tensor.numel() != 1 or tensor.is_complex():
        raise LoRAError(
            f"The alpha of {shown(module)} is {tuple(tensor.shape)} of {tensor.dtype}; it must be one number."
        )
    value = float(tensor.float())
    if not math.isfinite(value):
        raise LoRAError(f"The alpha of {shown(module)} is {value}: the LoRA is damaged, or its training failed.")
    return value


def finite_float(name: str, tensor: Tensor) -> Tensor:
    """The tensor; 8-bit floats become float32. Raises LoRAError for numbers that are not finite floats."""
    if not tensor.is_floating_point():
        raise LoRAError(
            f"{shown(name)} holds {str(tensor.dtype).removeprefix('torch.')}, not floating-point numbers: save it "
            "in bfloat16 or float32."
        )
    values = tensor.float() if tensor.element_size() == 1 else tensor
    if not bool(torch.isfinite(values).all()):
        raise LoRAError(f"{shown(name)} holds NaN or infinite numbers: the file is damaged, or its training failed.")
    return values


def write(lora: MaskLoRA) -> dict[str, Tensor]:
    """The official format: diffusers' names under `transformer.`, each pair with its alpha.

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


def _target(module: str) -> tuple[str, int]:
    """The BFL layer and the part of its rows on which the file's `module` acts."""
    target = layer_and_part(module)
    if target is None and is_text_encoders(module):
        raise LoRAError(
            f"The LoRA acts on a text encoder as well ({shown(module)}), which mask tokens never pass. {_ORDINARY}"
        )
    if target is None:
        raise LoRAError(
            f"The LoRA acts on {shown(module)}, which FLUX.1 does not have: it was made for another base model."
        )
    if layer_of(target[0]) not in MASK_STREAM_LAYERS:
        raise LoRAError(f"The LoRA acts on {shown(module)}, a layer that mask tokens never pass. {_ORDINARY}")
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
            f"{len(unknown)} tensors of the file belong to no LoRA pair, the first is {shown(unknown[0])}: "
            "this is not a LoRA of the mask stream."
        )
    if single := sorted(set(down) ^ set(up)):
        raise LoRAError(f"The LoRA pair of {shown(single[0])} is incomplete: one of its two matrices is missing.")
    if single := sorted(set(alpha) - set(down)):
        raise LoRAError(f"The file has an alpha for {shown(single[0])} but no LoRA pair for it.")
    if not down:
        raise LoRAError("This file holds no LoRA pair.")


def _check_pair(module: str, down: Tensor, up: Tensor) -> None:
    if down.numel() == 0 or up.numel() == 0:
        raise LoRAError(f"The LoRA pair of {shown(module)} is empty (rank 0): the file was saved without its weights.")
    if down.ndim != 2 or up.ndim != 2 or up.shape[1] != down.shape[0]:
        raise LoRAError(
            f"The LoRA pair of {shown(module)} does not fit together: down is {tuple(down.shape)} and up is "
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


def _refuse_too_many_rows(parts: Mapping[str, Sequence[LoRAPart]]) -> None:
    """Refuse rows that the layer does not have, since they could make the fused update arbitrarily large."""
    for name, pairs in parts.items():
        rows = _ROWS.get(layer_of(name), 1) * hidden_width({name: pairs})
        if (stop := max(part.stop for part in pairs)) > rows:
            raise LoRAError(f"The LoRA's pair for {name!r} acts on {stop} rows, where its width allows {rows}.")
