"""Batches that shrink when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from ..support.memory import is_out_of_memory
from .backend import BackendError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_batches(
    make: Callable[[Sequence[Item]], Sequence[Made]], items: Sequence[Item], size: int
) -> Iterator[Made | Exception]:
    """`make` over the items, `size` at a time; after memory ran out, half as many at a time.

    An item that cannot be made alone yields its exception; BackendError is raised.
    """
    start = 0
    while start < len(items):
        some = items[start : start + size]
        made: Sequence[Made | Exception]
        try:
            made = make(some)
        except BackendError:
            raise
        except Exception as error:
            if is_out_of_memory(error) and len(some) > 1:
                size = len(some) // 2
                _free()
                logger.warning("Memory does not suffice for %d pictures at once: going on with %d.", len(some), size)
                continue
            # Only making each alone shows which of several failed.
            made = [*in_batches(make, some, 1)] if len(some) > 1 else [_explained(error)]
        yield from made
        start += len(some)


def _explained(error: Exception) -> Exception:
    if not is_out_of_memory(error):
        return error
    _free()
    return MemoryError(
        "Memory does not suffice for one picture: choose --base-dtype fp8, --offload-blocks, or a smaller --size."
    )


def _free() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
