"""Writing a function's result over its argument, where nobody needs the argument any more.

The widest tensor of a transformer's step is a layer's output; a second one beside it is what sets the memory that a
step needs. So what treats each token alike goes over it in parts, each written back before the next is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

PARTS = 4
SMALL = 2**16
"""Numbers in a part below which its calls cost more time than its memory is worth."""


def may_overwrite() -> bool:
    """Autograd needs a layer's output on the way back, and a compiled graph plans its memory by itself."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling())


def overwrite(function: Callable[..., Sequence[Tensor]], *tensors: Tensor) -> Sequence[Tensor]:
    """function(*tensors), in the tensors' own memory where that may be.

    Args:
        function: of tensors (B, S, ...), to as many of the same shapes; it treats each token alike.
        tensors: (B, S, ...) each, nobody else's: they are lost.
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
