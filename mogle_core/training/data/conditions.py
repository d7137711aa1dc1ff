"""The pictures of further conditions of an item: from a folder beside the faces, or made from photo and mask."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...dataset import DatasetError
from ...dataset.frames import cut_picture
from ...dataset.layouts import PICTURE_SUFFIXES
from ...dataset.reading import open_picture
from ...model.conditions import KINDS
from ..config.conditions import Conditions
from ..config.sections import Data
from .items import Item, file_digest, read_face, read_ids


def style_of(conditions: Conditions, kind: str, sample: int) -> int:
    """Which of the kind's pictures a sample gets, which depends on its number alone."""
    return sample % conditions.count(kind)


def styles_of(conditions: Conditions, sample: int) -> list[tuple[str, int]]:
    """The kinds, each with the number of the picture that a sample gets."""
    return [(kind, style_of(conditions, kind, sample)) for kind in conditions.kinds]


def read_condition(item: Item, kind: str, style: int, conditions: Conditions, data: Data, mirrored: bool) -> Tensor:
    """The picture of an item's condition, as the VAE gets it: (height, width, 3) in 0..1.

    Raises:
        DatasetError: a folder lacks the item's picture, or it cannot be read or used.
    """
    if kind not in conditions.folders:
        ids = read_ids(item, data.label_space, mirrored)[0]
        return KINDS[kind].make(read_face(item, mirrored), ids, style)
    path = find_file(item, kind, conditions, data)
    uncut = open_picture(path)
    is_drawn = KINDS[kind].is_drawn
    if is_drawn is not None and not is_drawn(torch.from_numpy(np.array(uncut))[None] / 255):
        # A label map would be resized as a picture, which makes classes between classes.
        raise DatasetError(
            f"{path} holds no drawn {kind}. To make them from the masks, take {kind} out of conditions.folders."
        )
    given = cut_picture(uncut, item.mask_size, item.frame, str(path))
    try:
        picture = KINDS[kind].picture(given[None], (item.frame.height, item.frame.width))
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
    return (KINDS[kind].mirror(picture) if mirrored else picture)[0]


def find_file(item: Item, kind: str, conditions: Conditions, data: Data) -> Path:
    """The file of the item's condition, which has its name.

    Raises:
        DatasetError: there is none.
    """
    root = data.root if data.root.is_dir() else data.root.parent
    folder = root / conditions.folders[kind]
    for stem in (item.pair.name, item.pair.face.stem):
        for suffix in PICTURE_SUFFIXES:
            if (path := folder / f"{stem}{suffix}").is_file():
                return path
    raise DatasetError(
        f"{folder} has no {kind} for {item.pair.name}: add {item.pair.name}.png, or take {kind} out of "
        "conditions.folders, so that it is made from photo and mask."
    )


def check_files(items: Sequence[Item], conditions: Conditions, data: Data) -> None:
    """Raises DatasetError for the first item without a file in one of the folders."""
    for kind in conditions.folders:
        for item in items:
            find_file(item, kind, conditions, data)


def conditions_fingerprint(items: Sequence[Item], conditions: Conditions, data: Data) -> str:
    """A digest of the settings and files from which the conditions' pictures are made; empty without conditions."""
    if not conditions.kinds:
        return ""
    counts = [(kind, conditions.count(kind), kind in conditions.folders) for kind in conditions.kinds]
    digest = hashlib.blake2b(repr(counts).encode(), digest_size=16)
    files = [find_file(item, kind, conditions, data) for kind in conditions.folders for item in items]
    with ThreadPoolExecutor() as pool:
        for content in pool.map(file_digest, files):
            digest.update(bytes.fromhex(content))
    return f"conditions-{digest.hexdigest()}"
