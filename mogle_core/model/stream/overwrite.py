"""Writes a function's result over its argument, when the argument is not needed any more.

The widest tensor of a transformer's step is a layer's output, and a second one beside it determines the step's peak
memory. So functions that treat each token separately run on it in parts, and each part is written back before the
next one is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

PARTS = 4
SMALL = 2**16
"""The least number of elements in a part; smaller parts cost too much time in calls."""


def may_overwrite() -> bool:
    """False under autograd, which needs a layer's output later, and in a compiled graph, which plans its memory."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling())


def overwrite(function: Callable[..., Sequence[Tensor]], *tensors: Tensor) -> Sequence[Tensor]:
    """function(*tensors), in the tensors' memory if that is allowed.

    Args:
        function: maps tensors (B, S, ...) to as many of the same shapes, and treats each token separately.
        tensors: (B, S, ...) each; they are overwritten, so nothing else may use them.
    """
    if not may_overwrite():
        return function(*tensors)
    count = max(1, min(PARTS, tensors[0].numel() // SMALL))
    for parts in zip(*(tensor.chunk(count, dim=1) for tensor in tensors), strict=True):
        _store(function(*parts), parts)
    return tensors


def _store(results: Sequence[Tensor], places: Sequence[Tensor]) -> None:
    for place, result in zip(places, results, strict=True):
        place.copy_(result)
