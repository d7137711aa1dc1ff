"""Encoded things by item: encoded now, or read from a cache by the places of a plan's keys."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...masks.decouple import Decoupled
from ...model.encoders import Encoders
from ...model.mixture.mask_latents import LatentCache
from ..config.sections import TrainingConfig
from .cache import Plan, Store
from .cache.fill import latent_rows, text_rows
from .cache.keys import Keys
from .cache.shards import Finder, Row
from .items import Item, read_face, read_ids, token_weights

logger = logging.getLogger(__name__)

DTYPES = {"bf16": torch.bfloat16, "float32": torch.float32}

_AT_ONCE = 1 << 16


class Rows(Protocol):
    """Encoded things by item, side and caption."""

    def captions(self, item: int) -> int:
        """How many the item has."""
        ...

    def face(self, item: int, mirrored: bool) -> Row: ...

    def masks(self, item: int, mirrored: bool) -> Tensor:
        """(20, 16, h, w)."""
        ...

    def weights(self, item: int, mirrored: bool) -> Tensor | None:
        """(rows, columns) of tokens."""
        ...

    def text(self, item: int, caption: int) -> Row:
        """caption: -1 is the empty prompt."""
        ...

    def black(self, item: int) -> Tensor:
        """The black picture of the item's size, (16, h, w)."""
        ...


class DirectRows:
    """Encoded now; the masks' and texts' latest are kept."""

    def __init__(self, config: TrainingConfig, encoders: Encoders, items: Sequence[Item]) -> None:
        self.data, self.encoders, self.items = config.data, encoders, items
        self.dtype = DTYPES[config.cache.dtype]
        self._kept = LatentCache()

    def captions(self, item: int) -> int:
        return len(self.items[item].pair.captions)

    def face(self, item: int, mirrored: bool) -> Row:
        picture = read_face(self.items[item], mirrored)
        return latent_rows("faces", self.encoders.vae.encode(picture[None]), self.dtype)[0]

    def masks(self, item: int, mirrored: bool) -> Tensor:
        decoupled = Decoupled(read_ids(self.items[item], self.data.label_space, mirrored))
        return torch.stack([self._mask(decoupled, which, key) for which, key in enumerate(decoupled.keys(0))])

    def _mask(self, decoupled: Decoupled, which: int, key: bytes) -> Tensor:
        if (latent := self._kept.get(key)) is None:
            moments = self.encoders.vae.encode(decoupled.mask_image(0, which)[None])
            latent = latent_rows("masks", moments, self.dtype)[0]["mean"]
            self._kept.put(key, latent)
        return latent

    def weights(self, item: int, mirrored: bool) -> Tensor | None:
        if not self.data.loss_weights:
            return None
        return token_weights(read_ids(self.items[item], self.data.label_space, mirrored), self.data.loss_weights)[0]

    def text(self, item: int, caption: int) -> Row:
        text = "" if caption < 0 else self.items[item].pair.captions[caption]
        names = ("context", "pooled")
        found = {name: self._kept.get((name, text)) for name in names}
        kept = {name: tensor for name, tensor in found.items() if tensor is not None}
        if len(kept) == len(names):
            return kept
        row = text_rows(self.encoders.text.encode([text]), self.dtype)[0]
        for name in names:
            self._kept.put((name, text), row[name])
        return row

    def black(self, item: int) -> Tensor:
        frame = self.items[item].frame
        blank = Decoupled(torch.zeros(1, frame.height, frame.width, dtype=torch.uint8))
        return self._mask(blank, 0, blank.keys(0)[0])


class StoredRows:
    """Read from a store by the places of a plan's keys; what the plan does not have is encoded."""

    def __init__(self, plan: Plan, store: Store, direct: DirectRows) -> None:
        self.store, self.direct, self.offsets = store, direct, plan.offsets
        find = store.finder()
        self._faces, self._masks = _places(plan.faces, find), _places(plan.masks, find)
        self._weights, self._texts = _places(plan.weights, find), _places(plan.texts, find)
        self._blanks, self._empty = _places(plan.blanks, find), _places(plan.empty, find)
        self._told = False

    def captions(self, item: int) -> int:
        return int(self.offsets[item + 1] - self.offsets[item])

    def face(self, item: int, mirrored: bool) -> Row:
        place = int(self._faces[item, int(mirrored)])
        return self.direct.face(item, mirrored) if self._absent(place) else self.store.read(place)

    def masks(self, item: int, mirrored: bool) -> Tensor:
        places = self._masks[item, int(mirrored)].tolist()
        if self._absent(min(places)):
            return self.direct.masks(item, mirrored)
        read = {place: self.store.read(place)["mean"] for place in set(places)}
        return torch.stack([read[place] for place in places])

    def weights(self, item: int, mirrored: bool) -> Tensor | None:
        place = int(self._weights[item, int(mirrored)])
        return self.direct.weights(item, mirrored) if place < 0 else self.store.read(place)["weights"]

    def text(self, item: int, caption: int) -> Row:
        place = int(self._empty[0] if caption < 0 else self._texts[self.offsets[item] + caption])
        return self.direct.text(item, caption) if self._absent(place) else self.store.read(place)

    def black(self, item: int) -> Tensor:
        return self.store.read(int(self._blanks[item]))["mean"]

    def _absent(self, place: int) -> bool:
        if place < 0 and not self._told:
            logger.info("A sample that is not of the planned run is encoded now: it takes longer.")
            self._told = True
        return place < 0


def _places(keys: Keys, find: Finder) -> NDArray[np.int64]:
    """Where the keys (..., 2) are, (...): in a file that the system can leave on the disk, however many there are."""
    with TemporaryFile() as file:
        file.truncate(max(8, keys.size // 2 * 8))
        places = np.memmap(file, dtype=np.int64, mode="r+", shape=(keys.size // 2,))
    flat = keys.reshape(-1, 2)
    for first in range(0, len(flat), _AT_ONCE):
        places[first : first + _AT_ONCE] = find(flat[first : first + _AT_ONCE])
    return places.reshape(keys.shape[:-1])
