"""8-bit floats: how a weight and its scale are stored, narrowed and widened, and a Linear with such a weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FP8 = torch.float8_e4m3fn

# Further tensors in quantised files: a weight's scale; in ComfyUI's files also the scale of a layer's input, the kind
# of quantisation, and the mark of such a file.
FP8_SCALES = (".scale_weight", ".weight_scale")
FP8_NOTES = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")


class Fp8Linear(nn.Module):
    """A frozen Linear whose weight is float8 (e4m3) times one scale. Each call widens the weight.

    Autograd stores the narrow weight and widens it again in the backward pass, so that wide copies are freed after
    each call.
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
        # Flat, because with more dimensions the product is a view, which a Function's caller may not change in place.
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


def narrowed(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight as float8, and its scale (): the power of two that brings all entries below float8's 448.

    A power of two loses no precision in float8 and is exact in bfloat16. Other scales would be rounded in bfloat16,
    which would change the whole layer.
    """
    share = (weight.abs().amax().float() / torch.finfo(FP8).max).clamp_min(2.0**-100)
    scale = share.log2().ceil().exp2()
    return (weight.float() / scale).to(FP8), scale


def widened(weight: Tensor, scale: Tensor, dtype: torch.dtype, within: torch.dtype | None = None) -> Tensor:
    """The inverse of `narrowed`, up to rounding: weight * scale in `dtype`.

    scale: one number, or one for each row of the weight.
    within: the dtype of the product; by default `dtype`, which is exact for the powers of two of `narrowed`.
    """
    within = within or dtype
    if scale.numel() > 1:
        scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    elif scale.ndim:
        scale = scale.reshape(())
    return (weight.to(within) * scale.to(within)).to(dtype)
