"""Encodes what a plan has and a store lacks. After an interruption, the next call encodes what is still missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ....masks.decouple import Decoupled
from ....masks.labels import NUM_MASKS
from ....model.encoders import Encoders
from ....model.flux_latents import TOKEN_PIXELS
from ....support.memory import is_out_of_memory
from ...config.sections import Data
from ..items import Item, read_face, read_ids, token_weights
from ..rows import Row, latent_rows, text_rows
from .plan import Plan
from .shards import Store

logger = logging.getLogger(__name__)

PICTURES, TEXTS = 8, 8
"""How many are encoded at once. Where memory runs out, a batch is halved until it fits."""

FLUSH_SECONDS = 120.0
"""What a kill can cost at most."""

_AHEAD = 16


def fill(
    missing: Plan, items: Sequence[Item], encoders: Encoders, store: Store, data: Data, dtype: torch.dtype
) -> None:
    """Encode everything that is `missing` (see `Plan.missing`) into the store.

    What was encoded before an error or an interruption is stored.
    """
    if not any(missing.counts().values()):
        return
    filling = _Filling(encoders, store, dtype)
    try:
        _fill_pictures(filling, missing, items, data)
        encoders.vae.release()  # the text encoders need its room
        _fill_texts(filling, missing, items)
        encoders.text.release()
    finally:
        store.flush()


class _Filling:
    """Pictures that wait for their batch, and the time of the last flush."""

    def __init__(self, encoders: Encoders, store: Store, dtype: torch.dtype) -> None:
        self.encoders, self.store, self.dtype = encoders, store, dtype
        self.waiting: dict[tuple[str, tuple[int, ...]], list[tuple[bytes, Tensor]]] = {}
        self.flushed = time.monotonic()

    def picture(self, kind: str, key: bytes, picture: Tensor) -> None:
        """Encode it, together with others of its kind and size."""
        batch = self.waiting.setdefault((kind, tuple(picture.shape)), [])
        batch.append((key, picture))
        if len(batch) >= PICTURES:
            self._encode(kind, batch)

    def rest(self) -> None:
        for (kind, _), batch in self.waiting.items():
            if batch:
                self._encode(kind, batch)

    def keep(self, kind: str, key: bytes, row: Row) -> None:
        self.store.add(kind, key, row)
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.store.flush()
            self.flushed = time.monotonic()

    def _encode(self, kind: str, batch: list[tuple[bytes, Tensor]]) -> None:
        pictures = torch.stack([picture for _, picture in batch])
        for key, row in zip((key for key, _ in batch), self._rows(kind, pictures), strict=True):
            self.keep(kind, key, row)
        batch.clear()

    def _rows(self, kind: str, pictures: Tensor) -> list[Row]:
        def encoded(part: Tensor) -> list[Row]:
            return latent_rows(kind, self.encoders.vae.encode(part), self.dtype)

        return in_halves(encoded, pictures)


def in_halves(encode: Callable[..., list[Row]], batch: Tensor | list[str]) -> list[Row]:
    """The batch at once, or where the GPU's memory does not hold it, half by half."""
    try:
        return encode(batch)
    except (RuntimeError, MemoryError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    # Here and not above: the exception keeps the failed call's tensors alive.
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return in_halves(encode, batch[:half]) + in_halves(encode, batch[half:])


def _fill_pictures(filling: _Filling, missing: Plan, items: Sequence[Item], data: Data) -> None:
    wanted = missing.faces.any(-1) | missing.masks.any((-1, -2)) | missing.weights.any(-1)
    places = [(int(number), int(side)) for number, side in zip(*wanted.nonzero(), strict=True)]
    _blacks(filling, missing)
    for (number, side), face, ids in tqdm(
        _read_ahead(places, missing, items, data),
        total=len(places),
        desc="latents",
        unit="side",
        disable=None if places else True,
    ):
        if face is not None:
            filling.picture("faces", missing.faces[number, side].tobytes(), face)
        _masks(filling, missing, number, side, ids, data)
    filling.rest()


def _blacks(filling: _Filling, missing: Plan) -> None:
    for number in missing.blanks.any(-1).nonzero()[0]:
        rows, columns = (int(side) * TOKEN_PIXELS for side in missing.grids[number])
        filling.picture("masks", missing.blanks[number].tobytes(), torch.zeros(rows, columns, 3))


def _masks(filling: _Filling, missing: Plan, number: int, side: int, ids: Tensor, data: Data) -> None:
    decoupled = Decoupled(ids)
    for which in range(NUM_MASKS):
        if missing.masks[number, side, which].any():
            key = missing.masks[number, side, which].tobytes()
            filling.picture("masks", key, decoupled.mask_image(0, which))
    if missing.weights[number, side].any() and data.loss_weights:
        row = {"weights": token_weights(ids, data.loss_weights)[0]}
        filling.keep("weights", missing.weights[number, side].tobytes(), row)


def _read_ahead(
    places: list[tuple[int, int]], missing: Plan, items: Sequence[Item], data: Data
) -> Iterator[tuple[tuple[int, int], Tensor | None, Tensor]]:
    """Pictures and label maps in order, read by threads while others are encoded."""

    def read(place: tuple[int, int]) -> tuple[tuple[int, int], Tensor | None, Tensor]:
        item, mirrored = items[place[0]], bool(place[1])
        face = read_face(item, mirrored) if missing.faces[place].any() else None
        return place, face, read_ids(item, data.label_space, mirrored)

    with ThreadPoolExecutor(4) as pool:
        for first in range(0, len(places), _AHEAD):
            yield from pool.map(read, places[first : first + _AHEAD])


def _fill_texts(filling: _Filling, missing: Plan, items: Sequence[Item]) -> None:
    keys = [key.tobytes() for key in missing.empty if key.any()]
    texts = [""] * len(keys)
    wanted = missing.texts.any(-1)
    owners = np.searchsorted(missing.offsets, wanted.nonzero()[0], side="right") - 1
    for place, owner in zip(wanted.nonzero()[0].tolist(), owners.tolist(), strict=True):
        texts.append(items[owner].pair.captions[place - int(missing.offsets[owner])])
        keys.append(missing.texts[place].tobytes())

    def encoded(part: list[str]) -> list[Row]:
        return text_rows(filling.encoders.text.encode(part), filling.dtype)

    with tqdm(total=len(texts), desc="texts", unit="text", disable=None if texts else True) as bar:
        for first in range(0, len(texts), TEXTS):
            part = texts[first : first + TEXTS]
            for key, row in zip(keys[first : first + TEXTS], in_halves(encoded, part), strict=True):
                filling.keep("texts", key, row)
            bar.update(len(part))
