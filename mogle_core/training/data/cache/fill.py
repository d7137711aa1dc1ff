"""Encodes what a plan has and a store lacks. After an interruption, the next call encodes what is still missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ....masks.decouple import Decoupled
from ....masks.labels import NUM_MASKS
from ....model.encoders import Encoders
from ....model.flux_latents import TOKEN_PIXELS
from ....support.progress import Progress
from ...config.conditions import Conditions
from ...config.sections import Data
from ..conditions import read_condition
from ..items import Item, read_face, read_ids, token_weights
from ..rows import Row
from .encoding import Batch, Encode, encoded_here
from .plan import Plan
from .shards import Store

logger = logging.getLogger(__name__)

PICTURES, TEXTS = 8, 8
"""How many are encoded at once. Where memory runs out, a batch is halved until it fits."""

FLUSH_SECONDS = 120.0
"""The most work that a kill can lose."""

_AHEAD = 16


def fill(
    missing: Plan,
    items: Sequence[Item],
    encoders: Encoders,
    store: Store,
    data: Data,
    dtype: torch.dtype,
    encode: Encode | None = None,
    conditions: Conditions | None = None,
) -> None:
    """Encode everything that is `missing` (see `Plan.missing`) into the store.

    What was encoded before an error or an interruption is stored. encode: by whom, the largest pictures first; None
    encodes in this process.
    """
    if not any(missing.counts().values()):
        return
    filling, largest_first = _Filling(store), encode is not None
    encode = encode or partial(encoded_here, encoders, dtype)
    try:
        given = conditions or Conditions()
        filling.keep_all(encode(_picture_batches(filling, missing, items, data, given, largest_first)))
        encoders.vae.release()  # the text encoders need its memory
        filling.keep_all(encode(_text_batches(missing, items)))
        encoders.text.release()
    finally:
        store.flush()


class _Filling:
    """Pictures that wait for their batch, and the time of the last flush."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.waiting: dict[tuple[str, tuple[int, ...]], list[tuple[bytes, Tensor]]] = {}
        self.flushed = time.monotonic()

    def picture(self, kind: str, key: bytes, picture: Tensor) -> Iterator[Batch]:
        """The batch of its kind and size, once it is full."""
        batch = self.waiting.setdefault((kind, tuple(picture.shape)), [])
        batch.append((key, picture))
        if len(batch) >= PICTURES:
            yield _batch(kind, batch)

    def rest(self) -> Iterator[Batch]:
        for (kind, _), batch in self.waiting.items():
            if batch:
                yield _batch(kind, batch)

    def keep_all(self, encoded: Iterator[tuple[Batch, list[Row]]]) -> None:
        for batch, rows in encoded:
            for key, row in zip(batch.keys, rows, strict=True):
                self.keep(batch.kind, key, row)

    def keep(self, kind: str, key: bytes, row: Row) -> None:
        self.store.add(kind, key, row)
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.store.flush()
            self.flushed = time.monotonic()


def _batch(kind: str, waiting: list[tuple[bytes, Tensor]]) -> Batch:
    """Turn the waiting pictures into a batch, and empty the list."""
    batch = Batch(kind, [key for key, _ in waiting], torch.stack([picture for _, picture in waiting]))
    waiting.clear()
    return batch


def _picture_batches(
    filling: _Filling,
    missing: Plan,
    items: Sequence[Item],
    data: Data,
    conditions: Conditions,
    largest_first: bool = False,
) -> Iterator[Batch]:
    wanted = missing.faces.any(-1) | missing.masks.any((-1, -2)) | missing.weights.any(-1)
    wanted |= missing.conditions.any((-1, -2, -3))
    places = [(int(number), int(side)) for number, side in zip(*wanted.nonzero(), strict=True)]
    if largest_first:
        places.sort(key=lambda place: -int(missing.grids[place[0]].prod()))
    yield from _blacks(filling, missing)
    for (number, side), face, ids in Progress(
        _read_ahead(places, missing, items, data),
        total=len(places),
        desc="latents",
        unit="side",
        disable=None if places else True,
    ):
        if face is not None:
            yield from filling.picture("faces", missing.faces[number, side].tobytes(), face)
        yield from _masks(filling, missing, number, side, ids, data)
        for place, style in zip(*missing.conditions[number, side].any(-1).nonzero(), strict=True):
            key = missing.conditions[number, side, place, style].tobytes()
            kind = conditions.kinds[place]
            picture = read_condition(items[number], kind, int(style), conditions, data, bool(side))
            yield from filling.picture("conditions", key, picture)
    yield from filling.rest()


def _blacks(filling: _Filling, missing: Plan) -> Iterator[Batch]:
    for number in missing.blanks.any(-1).nonzero()[0]:
        rows, columns = (int(side) * TOKEN_PIXELS for side in missing.grids[number])
        yield from filling.picture("masks", missing.blanks[number].tobytes(), torch.zeros(rows, columns, 3))


def _masks(filling: _Filling, missing: Plan, number: int, side: int, ids: Tensor, data: Data) -> Iterator[Batch]:
    decoupled = Decoupled(ids)
    for which in range(NUM_MASKS):
        if missing.masks[number, side, which].any():
            key = missing.masks[number, side, which].tobytes()
            yield from filling.picture("masks", key, decoupled.mask_image(0, which))
    if missing.weights[number, side].any() and data.loss_weights:
        row = {"weights": token_weights(ids, data.loss_weights)[0]}
        filling.keep("weights", missing.weights[number, side].tobytes(), row)


def _read_ahead(
    places: list[tuple[int, int]], missing: Plan, items: Sequence[Item], data: Data
) -> Iterator[tuple[tuple[int, int], Tensor | None, Tensor]]:
    """Yield pictures and label maps in order; threads read ahead while others are encoded."""

    def read(place: tuple[int, int]) -> tuple[tuple[int, int], Tensor | None, Tensor]:
        item, mirrored = items[place[0]], bool(place[1])
        face = read_face(item, mirrored) if missing.faces[place].any() else None
        return place, face, read_ids(item, data.label_space, mirrored)

    with ThreadPoolExecutor(4) as pool:
        for first in range(0, len(places), _AHEAD):
            yield from pool.map(read, places[first : first + _AHEAD])


def _text_batches(missing: Plan, items: Sequence[Item]) -> Iterator[Batch]:
    keys = [key.tobytes() for key in missing.empty if key.any()]
    texts = [""] * len(keys)
    wanted = missing.texts.any(-1)
    owners = np.searchsorted(missing.offsets, wanted.nonzero()[0], side="right") - 1
    for place, owner in zip(wanted.nonzero()[0].tolist(), owners.tolist(), strict=True):
        texts.append(items[owner].pair.captions[place - int(missing.offsets[owner])])
        keys.append(missing.texts[place].tobytes())

    with Progress(total=len(texts), desc="texts", unit="text", disable=None if texts else True) as bar:
        for first in range(0, len(texts), TEXTS):
            part = texts[first : first + TEXTS]
            yield Batch("texts", keys[first : first + TEXTS], part)
            bar.update(len(part))
