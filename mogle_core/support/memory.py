"""Running out of memory, as the several backends of torch say it."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine has no memory left; some backends only say so in words."""
    named = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return named or (isinstance(error, RuntimeError) and "out of memory" in str(error).lower())
