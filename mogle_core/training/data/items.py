"""Finds, splits and reads the training pairs, before they are encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ...dataset import DatasetError, Pair, find_pairs, read_mask
from ...dataset.frames import Frame, check_aspects, cut_ids, cut_picture, frame
from ...dataset.reading import UNREADABLE, open_picture, upright_size
from ...masks.decouple import flip
from ...masks.labels import CLASS_NAMES
from ...model.flux_latents import TOKEN_PIXELS
from ..config.sections import Data, Validation

BY_CONTENT = "content-"
"""Begins the fingerprints in which the files' contents count."""


@dataclass(frozen=True, slots=True)
class Item:
    """A pair at one resolution. mask_size: width and height of the mask's file; the frame's box is in its pixels."""

    pair: Pair
    frame: Frame
    mask_size: tuple[int, int]


def find_items(data: Data) -> tuple[Item, ...]:
    """All training pairs of the configured data set, first at one resolution, then at the next.

    Raises:
        DatasetError: naming the file or the key that is wrong.
    """
    pairs = find_pairs(data.root, data.layout, data.images, data.masks, data.captions, split="train")
    sizes = [_mask_size(pair) for pair in pairs]
    return tuple(
        Item(pair, frame(*size, resolution, data.buckets), size)
        for resolution in data.resolution
        for pair, size in zip(pairs, sizes, strict=True)
    )


class LaterItems(Sequence[Item]):
    """The same items, found again on first access, so that millions of them do not stay in memory."""

    def __init__(self, data: Data, count: int) -> None:
        self._data, self._count = data, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Item: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Item]: ...

    def __getitem__(self, place: int | slice) -> Item | Sequence[Item]:
        return self._items[place]

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        items = find_items(self._data)
        if len(items) != self._count:
            raise DatasetError(
                f"{self._data.root} had {self._count} items when the run began and has {len(items)} now. Restore its "
                "files, or start the run again."
            )
        return items


def _mask_size(pair: Pair) -> tuple[int, int]:
    try:
        with Image.open(pair.mask) as image:
            return upright_size(image)
    except UNREADABLE as error:
        raise DatasetError(f"{pair.mask}: the mask cannot be read ({error}); replace it or take it out.") from error


def split_items(count: int, validation: Validation) -> tuple[list[int], list[int]]:
    """The numbers of the training items and of the held-out ones, which are spread evenly over the set.

    Raises:
        DatasetError: no pairs would be left for training.
    """
    if not validation.every:
        return list(range(count)), []
    if count <= validation.pairs:
        raise DatasetError(
            f"The data set has {count} pairs, and validation.pairs holds {validation.pairs} of them out: add pairs, "
            "lower it, or set validation.every = 0."
        )
    held = [(2 * number + 1) * count // (2 * validation.pairs) for number in range(validation.pairs)]
    kept = set(held)
    return [number for number in range(count) if number not in kept], held


def read_ids(item: Item, label_space: str, mirrored: bool = False) -> Tensor:
    """The item's label map (1, height, width) uint8."""
    label_map = read_mask(item.pair.mask, label_space)
    ids = cut_ids(label_map.ids, item.frame)
    return flip(ids) if mirrored else ids


def read_face(item: Item, mirrored: bool = False) -> Tensor:
    """The item's picture (height, width, 3) float32 in 0..1."""
    picture = cut_picture(open_picture(item.pair.face), item.mask_size, item.frame, str(item.pair.face))
    return picture.flip(1) if mirrored else picture


def readable_ids(item: Item, label_space: str, mirrored: bool = False) -> Tensor:
    """`read_ids`, after a check that the picture is readable and has the mask's aspect ratio.

    Raises:
        DatasetError: naming the file.
    """
    check_aspects(open_picture(item.pair.face).size, item.mask_size, str(item.pair.face))
    return read_ids(item, label_space, mirrored)


def token_weights(ids: Tensor, weights: dict[str, float]) -> Tensor:
    """The factor on each token's loss, (B, H/16, W/16) float32: a mean over its pixels in label maps (B, H, W)."""
    factors = torch.tensor([weights.get(name, 1.0) for name in CLASS_NAMES])
    return F.avg_pool2d(factors[ids.long()], TOKEN_PIXELS)


def manifest_fingerprint(items: Sequence[Item], data: Data) -> str:
    """A digest of the items' names, contents and captions, and of the settings that change them.

    It does not depend on the folder that the data set is in.
    """
    return BY_CONTENT + _fingerprint(items, data, content_digests(items))


def fingerprint_by_sizes(items: Sequence[Item], data: Data) -> str:
    """The fingerprint that checkpoints had before contents counted: by the files' sizes."""
    return _fingerprint(items, data, [(i.pair.mask.stat().st_size, i.pair.face.stat().st_size) for i in items])


def _fingerprint(items: Sequence[Item], data: Data, contents: Sequence[object]) -> str:
    settings = data.model_dump(exclude={"root", "images", "masks", "captions", "layout"})
    digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=16)
    for item, content in zip(items, contents, strict=True):
        digest.update(repr((item.pair.name, content, item.pair.captions, item.frame)).encode())
    return digest.hexdigest()


def content_digests(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Digests of each item's mask and picture, of which every byte is read once a process.

    `tests/bench/fingerprint.py` measures it: 1.5 to 2.8 s of processor for each GB on a busy two-core Xeon, and as
    long as the disk needs to read what is not in its cache.
    """
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda item: (file_digest(item.pair.mask), file_digest(item.pair.face)), items))


def file_digest(path: Path) -> str:
    """A digest of a file's content. Each process reads the file once, and again if it changes."""
    found = path.stat()
    return _digest_of(str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=1 << 19)
def _digest_of(path: str, size: int, modified: int, changed: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
