"""Prepares the frozen transformer for training: loads it, narrows it to 8 or 4 bits, and moves it to its device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ..fp8 import Fp8Linear
from ..stream.transformer import blocks_of
from .compiled import compile_blocks
from .files import Settle, load_flux
from .model import Flux
from .offload import Offloaded, recompute_activations, spread

BaseDtype = Literal["bf16", "float32", "fp8", "int8", "nf4"]


class _Flat(nn.Module):
    """A Linear that flattens its input to (N, in) for its autograd Function (see `Fp8Linear.forward`)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear, self.in_features, self.out_features = linear, linear.in_features, linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        flat: Tensor = self.linear(x.flatten(0, -2))
        return flat.view(*x.shape[:-1], self.out_features)


def load_base(
    path: Path | str,
    kind: BaseDtype,
    device: torch.device,
    offload_blocks: int = 0,
    recompute: bool = False,
    compiled: bool = False,
) -> Flux:
    """Load the frozen transformer for training. Only the Linears of its blocks are narrowed.

    Args:
        path: BFL's file, or diffusers' folder.
        offload_blocks: how many blocks stay in host memory until they run. recompute: gradient checkpointing.
        compiled: compile each kind of block once.

    Raises:
        WeightsError: the file cannot be used; the message gives the reason.
        ValueError: a package for `int8` or `nf4` is not installed, or two options exclude each other.
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
    settle = _settler(kind, device, offload_blocks)
    flux = load_flux(path, torch.float32 if kind == "float32" else torch.bfloat16, settle=settle)
    return _ready(flux, device, offload_blocks, recompute, compiled)


def prepare_base(
    flux: Flux,
    kind: BaseDtype,
    device: torch.device,
    offload_blocks: int = 0,
    recompute: bool = False,
    compiled: bool = False,
) -> Flux:
    """Like `load_base`, for a transformer that is already in memory."""
    settle = _settler(kind, device, offload_blocks)
    for block in blocks_of(flux).values():
        settle(flux, block)
    return _ready(flux, device, offload_blocks, recompute, compiled)


def _settler(kind: BaseDtype, device: torch.device, offload_blocks: int) -> Settle:
    """Narrows blocks and moves them to their device one at a time, so that the wide model never has to fit anywhere."""
    narrow = _narrower(kind)

    def settle(flux: Flux, block: nn.Module) -> None:
        if narrow is not None:
            narrow(block.to(device))
        block.to("cpu" if offload_blocks and block in spread(flux, offload_blocks) else device)

    return settle


def _ready(flux: Flux, device: torch.device, offload_blocks: int, recompute: bool, compiled: bool) -> Flux:
    for name, module in flux.named_children():
        if name not in ("double_blocks", "single_blocks"):
            module.to(device)
    flux.requires_grad_(False).eval()
    if compiled:
        compile_blocks(flux)
    if offload_blocks:
        Offloaded(spread(flux, offload_blocks), device)
    if recompute:
        recompute_activations(flux)
    return flux


def replace_linears(module: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace every Linear below `module` by the result of `make`."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, make(child))
        else:
            replace_linears(child, make)


def _narrower(kind: BaseDtype) -> Callable[[nn.Module], None] | None:
    """The function that narrows a block's Linears in place; None for the wide dtypes."""
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
