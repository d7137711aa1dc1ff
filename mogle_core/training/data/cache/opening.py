"""Opens a cache: plans the parts that the run needs, encodes the missing ones, and returns the reader for the run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....model.encoders import Encoders
from ...config.sections import TrainingConfig
from ..items import Item, LaterItems
from ..rows import DTYPES, DirectRows, Row
from .fill import fill
from .keys import Keys
from .plan import Plan, make_plan, plan_fingerprint
from .shards import CacheError, DiskStore, Finder, MemoryStore, Store, sole_writer

logger = logging.getLogger(__name__)

_AT_ONCE = 1 << 16


def open_cache(config: TrainingConfig, items: Sequence[Item], encoders: Encoders) -> StoredRows:
    """The encoded parts of all items that the run shows. Missing parts are encoded first.

    Raises:
        DatasetError, CacheError: names the wrong file, and what to do.
    """
    store = open_store(config)
    plan = filled_plan(config, items, encoders, store)
    # From here on, file names are only needed for parts that are not in the cache.
    return StoredRows(plan, store, DirectRows(config, encoders, LaterItems(config.data, len(items))))


def open_store(config: TrainingConfig) -> Store:
    """The configured store, on disk or in memory."""
    if config.cache.where == "memory":
        return MemoryStore()
    return DiskStore(config.cache.folder, config.cache.shard_bytes)


def filled_plan(config: TrainingConfig, items: Sequence[Item], encoders: Encoders, store: Store) -> Plan:
    """The run's plan, after the store has been filled with everything in it."""
    dtype = DTYPES[config.cache.dtype]
    if isinstance(store, MemoryStore):
        plan = make_plan(config, items, encoders)
        fill(plan.missing(store), items, encoders, store, config.data, dtype, conditions=config.conditions)
        return plan
    kept = kept_plan(config, items, encoders)
    if kept is not None and kept.is_in(store):
        return kept
    plan = make_plan(config, items, encoders) if kept is None else kept
    with sole_writer(config.cache.folder):
        keep_plan(plan, config, items, encoders)
        missing = plan.missing(store)  # another process may have filled it meanwhile
        check_space(config.cache.folder, sum(missing.bytes(encoders, dtype).values()))
        fill(missing, items, encoders, store, config.data, dtype, conditions=config.conditions)
    return plan


def kept_plan(config: TrainingConfig, items: Sequence[Item], encoders: Encoders) -> Plan | None:
    """The plan for these files and settings from the cache's folder; None if it was not made before, or is damaged."""
    path = _plan_path(config, items, encoders)
    try:
        return Plan.load(path) if path.is_file() else None
    except CacheError as error:
        logger.warning("%s", error)
        return None


def keep_plan(plan: Plan, config: TrainingConfig, items: Sequence[Item], encoders: Encoders) -> None:
    """Write the plan for the next run; only for the cache's sole writer."""
    path = _plan_path(config, items, encoders)
    if not path.is_file() or kept_plan(config, items, encoders) is None:
        plan.save(path)


def _plan_path(config: TrainingConfig, items: Sequence[Item], encoders: Encoders) -> Path:
    return config.cache.folder / "plans" / f"{plan_fingerprint(config, items, encoders)}.safetensors"


def check_space(folder: Path, needed: int) -> None:
    """Raises CacheError if the cache does not fit on the disk."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CacheError(
            f"The cache needs {needed / 2**30:.1f} GiB more, and the disk of {folder} has {free / 2**30:.1f} GiB free: "
            'set cache.folder to another disk, cache.dtype = "bf16", fewer model.t5_tokens, or cache.where to "none".'
        )


class StoredRows:
    """Reads each part from a store by the plan's key. Parts that are not in the plan are encoded on demand."""

    def __init__(self, plan: Plan, store: Store, direct: DirectRows) -> None:
        self.store, self.direct, self.offsets = store, direct, plan.offsets
        find = store.finder()
        self._faces, self._masks = _places(plan.faces, find), _places(plan.masks, find)
        self._weights, self._texts = _places(plan.weights, find), _places(plan.texts, find)
        self._conditions = _places(plan.conditions, find)
        self._blanks, self._empty = _places(plan.blanks, find), _places(plan.empty, find)
        self._warned = False

    def captions(self, item: int) -> int:
        return int(self.offsets[item + 1] - self.offsets[item])

    def ids(self, item: int) -> Tensor:
        return self.direct.ids(item)

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
        place = self._text(item, caption)
        return self.direct.text(item, caption) if self._absent(place) else self.store.read(place)

    def condition(self, item: int, kind: str, style: int, mirrored: bool) -> Tensor:
        place = self._condition(item, kind, style, mirrored)
        return (
            self.direct.condition(item, kind, style, mirrored)
            if self._absent(place)
            else (self.store.read(place)["mean"])
        )

    def has_condition(self, item: int, kind: str, style: int, mirrored: bool) -> bool:
        return self._condition(item, kind, style, mirrored) >= 0

    def _condition(self, item: int, kind: str, style: int, mirrored: bool) -> int:
        return int(self._conditions[item, int(mirrored), self.direct.conditions.kinds.index(kind), style])

    def black(self, item: int) -> Tensor:
        return self.store.read(int(self._blanks[item]))["mean"]

    def stored(self, item: int, mirrored: bool, caption: int) -> bool:
        side = int(mirrored)
        places = (self._faces[item, side], self._masks[item, side].min(), self._text(item, caption))
        return min(map(int, places)) >= 0

    def _text(self, item: int, caption: int) -> int:
        return int(self._empty[0] if caption < 0 else self._texts[self.offsets[item] + caption])

    def _absent(self, place: int) -> bool:
        if place < 0 and not self._warned:
            logger.info("A sample that the cache was not planned for is encoded now, which takes longer.")
            self._warned = True
        return place < 0


def _places(keys: Keys, find: Finder) -> NDArray[np.int64]:
    """The places (...) of keys (..., 2), in a temporary file, so that the system can page them out."""
    with TemporaryFile() as file:
        file.truncate(max(8, keys.size // 2 * 8))
        places = np.memmap(file, dtype=np.int64, mode="r+", shape=(keys.size // 2,))
    flat = keys.reshape(-1, 2)
    for first in range(0, len(flat), _AT_ONCE):
        places[first : first + _AT_ONCE] = find(flat[first : first + _AT_ONCE])
    return places.reshape(keys.shape[:-1])
