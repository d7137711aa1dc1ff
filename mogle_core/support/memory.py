"""Recognising that memory ran out, for all backends of torch."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine ran out of memory. Some backends say so only in the message."""
    named = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return named or (isinstance(error, RuntimeError) and "out of memory" in str(error).lower())
