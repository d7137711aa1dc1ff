"""The encoded parts of an item. `DirectRows` encodes them on demand; a cache has `StoredRows`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ...masks.decouple import Decoupled
from ...model.encoders import Encoders
from ...model.encoders.api import Moments
from ...model.mixture.mask_latents import LatentCache
from ..config.sections import TrainingConfig
from .conditions import read_condition
from .items import Item, read_face, read_ids, token_weights

DTYPES = {"bf16": torch.bfloat16, "float32": torch.float32}

Row = Mapping[str, Tensor]
"""The tensors of one encoded face, mask or text, by name."""


class Rows(Protocol):
    """Encoded faces, masks and texts, by the item's number, side and caption."""

    def captions(self, item: int) -> int:
        """How many captions the item has."""
        ...

    def stored(self, item: int, mirrored: bool, caption: int) -> bool:
        """Whether the face, masks and text are read from a cache, so that no encoder is needed."""
        ...

    def ids(self, item: int) -> Tensor:
        """The label map (height, width) uint8, not mirrored."""
        ...

    def face(self, item: int, mirrored: bool) -> Row:
        """`mean` (16, h, w), and `log_variance` if the VAE has one."""
        ...

    def masks(self, item: int, mirrored: bool) -> Tensor:
        """Latents (20, 16, h, w) of the mask pictures, the full one first."""
        ...

    def condition(self, item: int, kind: str, style: int, mirrored: bool) -> Tensor:
        """The latent (16, h, w) of a further condition's picture."""
        ...

    def has_condition(self, item: int, kind: str, style: int, mirrored: bool) -> bool:
        """Whether it is read from a cache, so that no encoder is needed."""
        ...

    def weights(self, item: int, mirrored: bool) -> Tensor | None:
        """Factors on the loss of each token, (rows, columns); None without data.loss_weights."""
        ...

    def text(self, item: int, caption: int) -> Row:
        """`context` (T, C) and `pooled` (P,). caption: its number; -1 is the empty prompt."""
        ...

    def black(self, item: int) -> Tensor:
        """The latent (16, h, w) of a black picture of the item's size."""
        ...


class DirectRows:
    """Encodes each part on demand; caches the latest masks and texts."""

    def __init__(self, config: TrainingConfig, encoders: Encoders, items: Sequence[Item]) -> None:
        self.data, self.encoders, self.items = config.data, encoders, items
        self.conditions = config.conditions
        self.dtype = DTYPES[config.cache.dtype]
        self._latest = LatentCache()

    def captions(self, item: int) -> int:
        return len(self.items[item].pair.captions)

    def stored(self, item: int, mirrored: bool, caption: int) -> bool:
        return False

    def ids(self, item: int) -> Tensor:
        return read_ids(self.items[item], self.data.label_space)[0]

    def face(self, item: int, mirrored: bool) -> Row:
        picture = read_face(self.items[item], mirrored)
        return latent_rows("faces", self.encoders.vae.encode(picture[None]), self.dtype)[0]

    def masks(self, item: int, mirrored: bool) -> Tensor:
        decoupled = Decoupled(read_ids(self.items[item], self.data.label_space, mirrored))
        return torch.stack([self._mask(decoupled, which, key) for which, key in enumerate(decoupled.keys(0))])

    def _mask(self, decoupled: Decoupled, which: int, key: bytes) -> Tensor:
        if (latent := self._latest.get(key)) is None:
            moments = self.encoders.vae.encode(decoupled.mask_image(0, which)[None])
            latent = latent_rows("masks", moments, self.dtype)[0]["mean"]
            self._latest.put(key, latent)
        return latent

    def condition(self, item: int, kind: str, style: int, mirrored: bool) -> Tensor:
        picture = read_condition(self.items[item], kind, style, self.conditions, self.data, mirrored)
        return latent_rows("conditions", self.encoders.vae.encode(picture[None]), self.dtype)[0]["mean"]

    def has_condition(self, item: int, kind: str, style: int, mirrored: bool) -> bool:
        return False

    def weights(self, item: int, mirrored: bool) -> Tensor | None:
        if not self.data.loss_weights:
            return None
        return token_weights(read_ids(self.items[item], self.data.label_space, mirrored), self.data.loss_weights)[0]

    def text(self, item: int, caption: int) -> Row:
        text = "" if caption < 0 else self.items[item].pair.captions[caption]
        names = ("context", "pooled")
        latest = {name: tensor for name in names if (tensor := self._latest.get((name, text))) is not None}
        if len(latest) == len(names):
            return latest
        row = text_rows(self.encoders.text.encode([text]), self.dtype)[0]
        for name in names:
            self._latest.put((name, text), row[name])
        return row

    def black(self, item: int) -> Tensor:
        frame = self.items[item].frame
        blank = Decoupled(torch.zeros(1, frame.height, frame.width, dtype=torch.uint8))
        return self._mask(blank, 0, blank.keys(0)[0])


def latent_rows(kind: str, moments: Moments, dtype: torch.dtype) -> list[Row]:
    """A row for each picture: the latents' mean, and for faces the log-variance, so that latents can be sampled."""
    tensors = {"mean": moments.mean.to(dtype).cpu()}
    if kind == "faces" and moments.log_variance is not None:
        tensors["log_variance"] = moments.log_variance.to(dtype).cpu()
    return [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]


def text_rows(encoded: tuple[Tensor, Tensor], dtype: torch.dtype) -> list[Row]:
    """A row for each text. encoded: contexts (N, T, C) and pooled texts (N, P)."""
    context, pooled = (part.to(dtype).cpu() for part in encoded)
    return [{"context": one, "pooled": other} for one, other in zip(context, pooled, strict=True)]
