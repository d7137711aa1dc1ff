"""The frozen transformer that training runs on: loaded, narrowed to 8 or 4 bits, and brought to its device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .files import load_flux
from .model import Flux
from .offload import Offloaded, recompute_activations, spread

BaseDtype = Literal["bf16", "float32", "fp8", "int8", "nf4"]

FP8 = torch.float8_e4m3fn


class Fp8Linear(nn.Module):
    """A frozen Linear whose weight is float8 (e4m3) times one scale; it is widened for each call.

    Autograd keeps the narrow weight and widens it again on the way back, so that no wide copy outlives a call.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight, scale = narrowed(linear.weight.detach())
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        # Flat, for a product of more dimensions is a view, which a Function's caller may not change in place.
        flat = _Fp8Product.apply(x.to(dtype).flatten(0, -2), self.weight, self.scale, bias)  # type: ignore[no-untyped-call]
        out: Tensor = flat.view(*x.shape[:-1], self.out_features)
        return out


class _Fp8Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return F.linear(x, widened(weight, scale, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        weight, scale = ctx.saved_tensors
        (grad,) = grads
        return grad @ widened(weight, scale, grad.dtype), None, None, None


class _Flat(nn.Module):
    """A Linear whose Function gets (N, in): see `Fp8Linear.forward`."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear, self.in_features, self.out_features = linear, linear.in_features, linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        flat: Tensor = self.linear(x.flatten(0, -2))
        return flat.view(*x.shape[:-1], self.out_features)


def narrowed(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight as float8 and its scale (): the power of two that brings all entries below float8's 448.

    A power of two costs float8 no digit and is exact in bfloat16; other scales would be rounded there, and with
    them the whole layer.
    """
    share = (weight.abs().amax().float() / torch.finfo(FP8).max).clamp_min(2.0**-100)
    scale = share.log2().ceil().exp2()
    return (weight.float() / scale).to(FP8), scale


def widened(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The inverse, up to rounding."""
    return weight.to(dtype) * scale.to(dtype)


def load_base(
    path: Path | str, kind: BaseDtype, device: torch.device, offload_blocks: int = 0, recompute: bool = False
) -> Flux:
    """The frozen transformer, ready to be trained on; only its blocks' Linears are narrowed.

    Args:
        path: BFL's file, or diffusers' folder.
        offload_blocks: how many of its blocks wait in host memory. recompute: gradient checkpointing.

    Raises:
        WeightsError: what is wrong with the file.
        ValueError: a package that `int8` or `nf4` need is not installed, or options that exclude each other.
    """
    if offload_blocks and kind in ("int8", "nf4"):
        raise ValueError(
            f'model.offload_blocks cannot move the packed weights of model.base_dtype = "{kind}": take "fp8" or '
            '"bf16", or offload_blocks = 0.'
        )
    if offload_blocks and not recompute:
        raise ValueError(
            "model.offload_blocks needs model.gradient_checkpointing = true: without it the backward pass keeps "
            "the weights of all blocks on the device."
        )
    narrow = _narrower(kind)

    def settle(flux: Flux, block: nn.Module) -> None:
        # One block at a time: the wide model need not fit anywhere.
        if narrow is not None:
            narrow(block.to(device))
        block.to("cpu" if offload_blocks and block in spread(flux, offload_blocks) else device)

    flux = load_flux(path, torch.float32 if kind == "float32" else torch.bfloat16, settle=settle)
    waiting = spread(flux, offload_blocks) if offload_blocks else []
    for name, module in flux.named_children():
        if name not in ("double_blocks", "single_blocks"):
            module.to(device)
    flux.requires_grad_(False).eval()
    if waiting:
        Offloaded(waiting, device)
    if recompute:
        recompute_activations(flux)
    return flux


def replace_linears(module: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> None:
    """Every Linear below `module` gives way to what `make` makes of it."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, make(child))
        else:
            replace_linears(child, make)


def _narrower(kind: BaseDtype) -> Callable[[nn.Module], None] | None:
    """What narrows a block's Linears in place; None for the wide dtypes."""
    if kind == "fp8":
        return lambda block: replace_linears(block, Fp8Linear)
    if kind == "int8":
        return _int8()
    return _nf4() if kind == "nf4" else None


def _int8() -> Callable[[nn.Module], None]:
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise ValueError(_lacking("int8", "torchao")) from error
    return lambda block: quantize_(block, Int8WeightOnlyConfig())


def _nf4() -> Callable[[nn.Module], None]:
    try:
        import bitsandbytes
    except ImportError as error:
        raise ValueError(_lacking("nf4", "bitsandbytes")) from error

    def make(linear: nn.Linear) -> nn.Module:
        narrow: nn.Linear = bitsandbytes.nn.Linear4bit(
            linear.in_features, linear.out_features, linear.bias is not None, torch.bfloat16, quant_type="nf4"
        )
        narrow.load_state_dict(linear.state_dict())
        return _Flat(narrow.to(linear.weight.device))  # it is packed on arrival

    return lambda block: replace_linears(block, make)


def _lacking(kind: str, package: str) -> str:
    return (
        f'model.base_dtype = "{kind}" needs the package {package}, which is not installed: pip install {package}, '
        'or take "fp8", which needs nothing.'
    )
