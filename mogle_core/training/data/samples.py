"""Batches for the training step: from the cache on disk or in memory, or encoded as they are asked for.

Where they come from changes nothing: what is encoded on the fly is rounded to the cache's dtype, too, and every
chance (mirroring, caption, the latent's noise) belongs to the sample's number.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ...model.encoders import Encoders
from ...model.encoders.api import Moments
from ...model.encoders.opening import open_encoders
from ...model.flux_latents import pack
from ..config.sections import Model, TrainingConfig
from ..step import Batch, Blanks
from .cache import CacheError, DiskStore, MemoryStore, Plan, Store, fill, make_plan
from .cache.plan import plan_fingerprint, read_all
from .cache.shards import Row, sole_writer
from .draws import generator
from .items import Item, LaterItems, choose, find_items, manifest_fingerprint, read_ids, split_items
from .rows import DTYPES, DirectRows, Rows, StoredRows
from .schedule import Pick

logger = logging.getLogger(__name__)


class Samples(Protocol):
    """What a run learns from, by number.

    grids: rows and columns of every pair's tokens. fingerprint: of the data and of what it was encoded by.
    """

    @property
    def grids(self) -> Sequence[tuple[int, int]]: ...

    @property
    def fingerprint(self) -> str: ...

    def batch(self, picks: Sequence[Pick], device: torch.device) -> Batch:
        """The picks, which are of one grid, in float32."""
        ...

    def blanks(self, grid: tuple[int, int], device: torch.device) -> Blanks:
        """What dropped conditions of that grid become."""
        ...


def open_encoders_of(model: Model, device: torch.device | str = "cpu") -> Encoders:
    """The configured encoders; no weights are read before they are needed."""
    return open_encoders(model.vae, model.clip_l, model.t5xxl, model.tokenizers, model.t5_tokens, device)


def open_samples(config: TrainingConfig, encoders: Encoders | None = None) -> EncodedSamples:
    """The configured data set, ready to be trained on: what its cache lacks is encoded first.

    Of several processes, let one open them before the others do, so that they need not all encode.

    Args:
        encoders: of `config.model` if None.

    Raises:
        DatasetError, CacheError, EncodersError: naming the file or the key that is wrong.
    """
    encoders = encoders or open_encoders_of(config.model)
    items = find_items(config.data)
    split_items(len(items), config.validation)  # says if nothing is left
    if config.cache.where == "none":
        read_all(config, items)
        return EncodedSamples(config, encoders, items, items, DirectRows(config, encoders, items))
    store = open_store(config)
    plan = filled_plan(config, items, encoders, store)
    # From here on the files' names are needed only where something is not in the cache.
    later = LaterItems(config.data, len(items))
    rows = StoredRows(plan, store, DirectRows(config, encoders, later))
    return EncodedSamples(config, encoders, items, later, rows)


def open_store(config: TrainingConfig) -> Store:
    """Disk or memory."""
    if config.cache.where == "memory":
        return MemoryStore()
    return DiskStore(config.cache.folder, config.cache.shard_bytes)


def filled_plan(config: TrainingConfig, items: Sequence[Item], encoders: Encoders, store: Store) -> Plan:
    """The run's plan, with everything in it in the store."""
    dtype = DTYPES[config.cache.dtype]
    if isinstance(store, MemoryStore):
        plan = make_plan(config, items, encoders)
        fill(plan.missing(store), items, encoders, store, config.data, dtype)
        return plan
    plan = kept_plan(config, items, encoders)
    if not plan.is_in(store):
        with sole_writer(config.cache.folder):
            missing = plan.missing(store)  # another process may have been faster
            check_space(config.cache.folder, sum(missing.bytes(encoders, dtype).values()))
            fill(missing, items, encoders, store, config.data, dtype)
    return plan


def kept_plan(config: TrainingConfig, items: Sequence[Item], encoders: Encoders) -> Plan:
    """The plan, made once for these files and settings."""
    path = config.cache.folder / "plans" / f"{plan_fingerprint(config, items, encoders)}.safetensors"
    if not path.is_file():
        make_plan(config, items, encoders).save(path)
    return Plan.load(path)


def check_space(folder: Path, needed: int) -> None:
    """Raises CacheError if the disk would be full before the cache is."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CacheError(
            f"The cache needs {needed / 2**30:.1f} GiB more, and the disk of {folder} has {free / 2**30:.1f} GiB free: "
            'set cache.folder to another disk, cache.dtype = "bf16", fewer model.t5_tokens, or cache.where to "none".'
        )


class EncodedSamples:
    """The configured data set as `Samples`: its items are the pairs, one after the other at each resolution."""

    def __init__(
        self, config: TrainingConfig, encoders: Encoders, found: Sequence[Item], items: Sequence[Item], rows: Rows
    ) -> None:
        """
        Args:
            found: the items. items: the same, which are kept.
        """
        self.data, self.seed, self.items, self.rows = config.data, config.loop.seed, items, rows
        shared: dict[tuple[int, int], tuple[int, int]] = {}
        self.grids = [shared.setdefault(item.frame.grid, item.frame.grid) for item in found]
        parts = (encoders.vae.fingerprint, encoders.text.fingerprint, config.cache.dtype)
        self.fingerprint = " ".join((manifest_fingerprint(found, config.data), *parts))
        self.training, self.held_out = split_items(len(found), config.validation)

    @cached_property
    def _blanks(self) -> dict[tuple[int, int], Blanks]:
        return {}

    def batch(self, picks: Sequence[Pick], device: torch.device) -> Batch:
        each = [self._sample(pick) for pick in picks]
        x0, masks, context, pooled = (
            torch.stack(part).to(device, torch.float32) for part in zip(*(one[:4] for one in each), strict=True)
        )
        weights = [one[4] for one in each if one[4] is not None]
        loss_weights = torch.stack(weights).flatten(1).to(device) if weights else None
        return Batch(x0, pack(masks), context, pooled, self.grids[picks[0].pair], loss_weights)

    def blanks(self, grid: tuple[int, int], device: torch.device) -> Blanks:
        if grid not in self._blanks:
            item = self.grids.index(grid)
            empty = self.rows.text(item, -1)
            parts = (pack(self.rows.black(item)), empty["context"], empty["pooled"])
            self._blanks[grid] = Blanks(*(part.to(device, torch.float32) for part in parts))
        return self._blanks[grid]

    def ids(self, pair: int) -> Tensor:
        """A pair's label map (height, width) uint8, as it is trained on."""
        return read_ids(self.items[pair], self.data.label_space)[0]

    def _sample(self, pick: Pick) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        choice = choose(self.data, self.seed, pick.sample, self.rows.captions(pick.pair))
        text = self.rows.text(pick.pair, choice.caption)
        face = self._latent(self.rows.face(pick.pair, choice.mirrored), pick.sample)
        masks = self.rows.masks(pick.pair, choice.mirrored)
        weights = self.rows.weights(pick.pair, choice.mirrored)
        return pack(face), masks, text["context"], text["pooled"], weights

    def _latent(self, row: Row, sample: int) -> Tensor:
        mean = row["mean"].float()
        if self.data.latents == "mean" or "log_variance" not in row:
            return mean
        noise = torch.randn(mean.shape, generator=generator(self.seed, "latent", sample))
        return Moments(mean, row["log_variance"].float()).sample(noise)
