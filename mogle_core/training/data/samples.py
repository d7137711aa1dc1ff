"""Makes batches for the training step, from the cache or from parts that are encoded on demand.

Both give exactly the same batches: parts that are encoded on demand are rounded to the cache's dtype, and everything
random (mirroring, caption, the latent's noise) depends on the sample's number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...model.encoders import Encoders
from ...model.encoders.api import Moments
from ...model.encoders.opening import open_encoders
from ...model.flux_latents import pack
from ..config.sections import Model, TrainingConfig
from ..step import Batch, Blanks
from .cache import open_cache, read_all
from .conditions import check_files, conditions_fingerprint, read_condition, styles_of
from .draws import generator
from .items import Item, LaterItems, find_items, fingerprint_by_sizes, manifest_fingerprint, split_items
from .rows import DirectRows, Row, Rows
from .schedule import Pick, choose


class Samples(Protocol):
    """The training pairs of a run, by number.

    grids: rows and columns of every pair's tokens. fingerprint: of the data, the encoders and the dtype.
    """

    @property
    def grids(self) -> Sequence[tuple[int, int]]: ...

    @property
    def fingerprint(self) -> str: ...

    def batch(self, picks: Sequence[Pick], device: torch.device) -> Batch:
        """The batch of these picks in float32. All picks have the same grid."""
        ...

    def blanks(self, grid: tuple[int, int], device: torch.device) -> Blanks:
        """The replacements of dropped conditions at that grid."""
        ...


def open_encoders_of(model: Model, device: torch.device | str = "cpu") -> Encoders:
    """Open the configured encoders; their weights are read when they are needed."""
    return open_encoders(model.vae, model.clip_l, model.t5xxl, model.tokenizers, model.t5_tokens, device)


def open_samples(config: TrainingConfig, encoders: Encoders | None = None) -> EncodedSamples:
    """Open the configured data set for training. Parts that its cache lacks are encoded first.

    With several processes, let one open the samples before the others, so that only one encodes.

    Args:
        encoders: None opens those of `config.model`.

    Raises:
        DatasetError, CacheError, EncodersError: naming the file or the key that is wrong.
    """
    encoders = encoders or open_encoders_of(config.model)
    items = find_items(config.data)
    split_items(len(items), config.validation)  # raises if no pairs are left for training
    check_files(items, config.conditions, config.data)
    if config.cache.where != "none":
        return EncodedSamples(config, encoders, items, open_cache(config, items, encoders))
    read_all(config, items)
    return EncodedSamples(config, encoders, items, DirectRows(config, encoders, items))


class EncodedSamples:
    """The configured data set as `Samples`. Its pairs are the items, first at one resolution, then at the next."""

    def __init__(self, config: TrainingConfig, encoders: Encoders, items: Sequence[Item], rows: Rows) -> None:
        """Read the items without storing them, since there may be millions."""
        self.data, self.seed, self.rows = config.data, config.loop.seed, rows
        self.conditions, self._later = config.conditions, LaterItems(config.data, len(items))
        shared: dict[tuple[int, int], tuple[int, int]] = {}
        self.grids = [shared.setdefault(item.frame.grid, item.frame.grid) for item in items]
        further = conditions_fingerprint(items, config.conditions, config.data)
        parts = [encoders.vae.fingerprint, encoders.text.fingerprint, config.cache.dtype, *filter(None, [further])]
        self.fingerprint = " ".join((manifest_fingerprint(items, config.data), *parts))
        self.former_fingerprint = " ".join((fingerprint_by_sizes(items, config.data), *parts))
        self.training, self.held_out = split_items(len(items), config.validation)
        self._blanks: dict[tuple[tuple[int, int], torch.device], Blanks] = {}

    def batch(self, picks: Sequence[Pick], device: torch.device) -> Batch:
        each = [self._sample(pick) for pick in picks]

        def together(name: str) -> Tensor:
            return torch.stack([getattr(sample, name) for sample in each]).to(device, torch.float32)

        loss_weights = None if each[0].loss_weights is None else together("loss_weights").flatten(1)
        return Batch(
            pack(together("face")),
            pack(together("masks")),
            together("context"),
            together("pooled"),
            self.grids[picks[0].pair],
            loss_weights,
        )

    def blanks(self, grid: tuple[int, int], device: torch.device) -> Blanks:
        if (grid, device) not in self._blanks:
            item = self.grids.index(grid)
            empty = self.rows.text(item, -1)
            parts = (pack(self.rows.black(item)), empty["context"], empty["pooled"])
            self._blanks[grid, device] = Blanks(*(part.to(device, torch.float32) for part in parts))
        return self._blanks[grid, device]

    def stored(self, pick: Pick) -> bool:
        """Whether all parts of the sample are in the cache, so that no encoder is needed."""
        choice = choose(self.data, self.seed, pick.sample, self.rows.captions(pick.pair))
        return self.rows.stored(pick.pair, choice.mirrored, choice.caption) and all(
            self.rows.has_condition(pick.pair, kind, style, choice.mirrored)
            for kind, style in styles_of(self.conditions, pick.sample)
        )

    def ids(self, pair: int) -> Tensor:
        """A pair's label map (height, width) uint8, as in training."""
        return self.rows.ids(pair)

    def shown_conditions(self, pair: int) -> list[Tensor]:
        """The pictures (height, width, 3) of a pair's further conditions, as validation takes them."""
        item, mirrored = self._later[pair], choose(self.data, self.seed, pair, 0).mirrored
        styles = styles_of(self.conditions, pair)
        return [read_condition(item, kind, style, self.conditions, self.data, mirrored) for kind, style in styles]

    def _sample(self, pick: Pick) -> _Sample:
        rows, pair = self.rows, pick.pair
        choice = choose(self.data, self.seed, pick.sample, rows.captions(pair))
        text = rows.text(pair, choice.caption)
        return _Sample(
            self._latent(rows.face(pair, choice.mirrored), pick.sample),
            self._masks(pick, choice.mirrored),
            text["context"],
            text["pooled"],
            rows.weights(pair, choice.mirrored),
        )

    def _masks(self, pick: Pick, mirrored: bool) -> Tensor:
        """The latents (20 + K, 16, h, w) of the masks and of the further conditions."""
        masks = self.rows.masks(pick.pair, mirrored)
        if not self.conditions.kinds:
            return masks
        styles = styles_of(self.conditions, pick.sample)
        further = [self.rows.condition(pick.pair, kind, style, mirrored) for kind, style in styles]
        return torch.cat((masks, torch.stack(further).to(masks.dtype)))

    def _latent(self, row: Row, sample: int) -> Tensor:
        mean = row["mean"].float()
        if self.data.latents == "mean" or "log_variance" not in row:
            return mean
        noise = torch.randn(mean.shape, generator=generator(self.seed, "latent", sample))
        return Moments(mean, row["log_variance"].float()).sample(noise)


@dataclass(frozen=True)
class _Sample:
    """face: (16, h, w). masks: (20 + K, 16, h, w). context: (T, C). pooled: (P,). loss_weights: (rows, columns)."""

    face: Tensor
    masks: Tensor
    context: Tensor
    pooled: Tensor
    loss_weights: Tensor | None
