"""Keys by content: 128 bits, as two integers of 64, of the encoded data, the encoder and the dtype."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....dataset.frames import Frame
from ....masks.decouple import Decoupled
from ..items import Item

Keys = NDArray[np.uint64]
"""(..., 2); zeros mean no key."""

KEY_BYTES = 16
VERSION = "1"
"""Increased whenever the same inputs would be encoded differently."""


def key(kind: str, *parts: object) -> bytes:
    digest = hashlib.blake2b(f"{VERSION} {kind}".encode(), digest_size=KEY_BYTES)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.digest()


def stacked(keys: Sequence[bytes]) -> Keys:
    """(N, 2)."""
    return np.array(np.frombuffer(b"".join(keys), dtype=np.uint64).reshape(-1, 2))


def face_key(item: Item, mirrored: bool, encoder: str) -> bytes:
    """The key of a picture by its file and its crop; the file is not decoded."""
    path = item.pair.face
    content = _file_digest(path)
    return key("face", content, item.frame, item.mask_size, mirrored, encoder)


def _file_digest(path: Path) -> bytes:
    found = path.stat()
    # A file can be repainted at the same size and then given its former time of change, but not its former ctime.
    return _digest_of(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=64)  # an item's two sides are requested one after the other
def _digest_of(path: Path, _size: int, _modified: int, _changed: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def mask_keys(ids: Tensor, encoder: str) -> list[bytes]:
    """The 20 keys of a label map (1, H, W). All absent classes of all pictures of a size share the key of black."""
    return [key("mask", digest, encoder) for digest in Decoupled(ids).keys(0)]


def black_key(frame: Frame, encoder: str) -> bytes:
    """The key that `mask_keys` gives to an absent class."""
    return mask_keys(torch.zeros(1, frame.height, frame.width, dtype=torch.uint8), encoder)[0]


def condition_key(item: Item, kind: str, style: int, file: bytes, ids: Tensor, mirrored: bool, encoder: str) -> bytes:
    """The key of a further condition's picture. file: the digest of its file; empty if photo and mask make it."""
    made_of: tuple[object, ...] = (file,)
    if not file:
        path = item.pair.face
        made_of = (style, _file_digest(path), Decoupled(ids).keys(0)[0])
    return key("condition", kind, *made_of, item.frame, item.mask_size, mirrored, encoder)


def weights_key(ids: Tensor, weights: dict[str, float]) -> bytes:
    return key("weights", Decoupled(ids).keys(0)[0], sorted(weights.items()))


def text_key(text: str, encoder: str) -> bytes:
    return key("text", text.encode(), encoder)


def first_of_each(flat: Keys) -> NDArray[np.bool_]:
    """Whether each of the keys (N, 2) is the first of its value."""
    order = np.lexsort((flat[:, 1], flat[:, 0]))
    ordered = flat[order]
    new = np.ones(len(flat), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    first = np.zeros(len(flat), dtype=bool)
    first[order[new]] = True
    return first


def distinct(flat: Keys) -> int:
    """How many different keys there are, without zeros."""
    return int((first_of_each(flat) & flat.any(1)).sum())


def weighed(keys: Keys, sizes: NDArray[np.int64]) -> int:
    """The sum of the sizes of all different keys."""
    flat = keys.reshape(-1, 2)
    return int(sizes.reshape(-1)[first_of_each(flat) & flat.any(1)].sum())
