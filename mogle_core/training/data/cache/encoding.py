"""Batches of pictures and texts to rows of the cache: in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ....model.encoders import Encoders
from ....support.cluster import Cluster, Workers
from ....support.memory import is_out_of_memory
from ..rows import Row, latent_rows, text_rows


@dataclass(frozen=True)
class Batch:
    """What is encoded at once. content: pictures (B, H, W, 3), or for the kind `texts` as many captions."""

    kind: str
    keys: list[bytes]
    content: Tensor | list[str]


Encode = Callable[[Iterable[Batch]], Iterator[tuple[Batch, list[Row]]]]
"""Each batch with a row for each of its keys, in any order."""


def encoded_here(encoders: Encoders, dtype: torch.dtype, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Row]]]:
    """One batch after the other."""
    for batch in batches:
        yield batch, rows_of(encoders, dtype, batch)


def encoded_by(
    cluster: Cluster, open_: Callable[[str], Encoders], dtype: torch.dtype, batches: Iterable[Batch]
) -> Iterator[tuple[Batch, list[Row]]]:
    """By workers that each open both encoders. A batch does not depend on who encodes it, so neither do its rows.

    The rows come in the batches' order, so the cache's files are those of one process. open_: takes a device.
    Raises whatever went wrong with a batch.
    """
    workers: Workers[Batch, list[Row]] = Workers(cluster, partial(_load, open_, cluster.device, dtype))
    try:
        yield from workers.in_order(batches)
    finally:
        workers.close()


def rows_of(encoders: Encoders, dtype: torch.dtype, batch: Batch) -> list[Row]:
    """Encode a batch. If memory runs out, encode its two halves separately."""
    return in_halves(partial(_encoded, encoders, dtype, batch.kind), batch.content)


def in_halves(encode: Callable[..., list[Row]], batch: Tensor | list[str]) -> list[Row]:
    """Encode the whole batch at once. If memory runs out, encode its two halves separately."""
    try:
        return encode(batch)
    except (RuntimeError, MemoryError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    # Here and not above: the exception keeps the failed call's tensors alive.
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return in_halves(encode, batch[:half]) + in_halves(encode, batch[half:])


def _encoded(encoders: Encoders, dtype: torch.dtype, kind: str, content: Tensor | list[str]) -> list[Row]:
    if isinstance(content, Tensor):
        return latent_rows(kind, encoders.vae.encode(content), dtype)
    return text_rows(encoders.text.encode(content), dtype)


def _load(open_: Callable[[str], Encoders], device: str, dtype: torch.dtype) -> Callable[[Batch], list[Row]]:
    """In a worker."""
    return partial(rows_of, open_(device), dtype)
