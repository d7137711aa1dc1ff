"""Folders of pictures: pairs them by name, and reads them in batches."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..dataset.errors import DatasetError
from ..dataset.layouts import PICTURE_SUFFIXES
from ..dataset.listing import by_name, files_below
from ..dataset.reading import open_picture
from ..support.sentences import counted

logger = logging.getLogger(__name__)


def list_pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder and its sub-folders by their path without suffix, sorted.

    Raises DatasetError if there are none, or two of one name.
    """
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}.")
    pictures = by_name(sorted(files_below(folder, PICTURE_SUFFIXES)), folder)
    if not pictures:
        raise DatasetError(f"{folder} has no pictures ({', '.join(PICTURE_SUFFIXES)}).")
    return pictures


def read_picture(path: Path) -> Tensor:
    """(H, W, 3) uint8. Raises DatasetError for a file that is truncated or not a picture."""
    return torch.from_numpy(np.array(open_picture(path)))


def subject(name: str) -> str:
    """The name that a picture shares with its mask, caption and photo: `27000@3` is 27000's fourth seed."""
    return re.sub(r"@\d+$", "", name)


def match(names: Iterable[str], others: Mapping[str, Path], what: str, strict: bool = False) -> dict[str, Path]:
    """Find the file of `others` that belongs to each picture, by the picture's subject.

    Pictures without a partner are left out, with a warning that names them.

    Raises DatasetError if nothing fits, or with `strict` if anything is left over.
    """
    names = list(names)
    pairs = {name: others[subject(name)] for name in names if subject(name) in others}
    alone = [name for name in names if name not in pairs]
    unused = sorted(set(others) - {subject(name) for name in names})
    if not pairs:
        raise DatasetError(
            f"No picture has a {what} of its own name: there are {_few(names)} and {_few(sorted(others))}. Files "
            "belong together by their names without endings."
        )
    if complaint := _complaint(alone, unused, what):
        if strict:
            raise DatasetError(f"{complaint} (--strict allows none.)")
        logger.warning("%s They are left out.", complaint)
    return pairs


def _complaint(alone: Sequence[str], unused: Sequence[str], what: str) -> str:
    parts = []
    if alone:
        parts.append(f"{counted(len(alone), 'picture')} without a {what} ({_few(alone)}).")
    if unused:
        parts.append(f"{counted(len(unused), what)} without a picture ({_few(unused)}).")
    return " ".join(parts)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def readable(paths: Mapping[str, Path], strict: bool = False) -> dict[str, Path]:
    """The pictures that can be read completely. The others are left out with a warning, or raise DatasetError with
    `strict`."""
    good = {}
    for name, path in paths.items():
        try:
            read_picture(path)
        except DatasetError as error:
            if strict:
                raise
            logger.warning("%s It is left out.", error)
        else:
            good[name] = path
    return good


def batches(paths: Sequence[Path], size: int) -> Iterator[Tensor]:
    """The pictures in order, (n, 3, H, W) uint8 with n up to `size`: a batch ends early where the size changes."""
    waiting: list[Tensor] = []
    for path in paths:
        picture = read_picture(path)
        if waiting and (len(waiting) == size or waiting[0].shape != picture.shape):
            yield _stacked(waiting)
            waiting = []
        waiting.append(picture)
    if waiting:
        yield _stacked(waiting)


def _stacked(pictures: list[Tensor]) -> Tensor:
    return torch.stack(pictures).movedim(-1, 1)
