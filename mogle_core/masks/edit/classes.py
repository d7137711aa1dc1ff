"""Class names as a person writes them, to ids."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..decode import MaskError
from ..labels import CLASS_NAMES, CLASSES

Ids: TypeAlias = NDArray[np.uint8]
"""One label map (H, W) of CelebAMask-HQ ids."""

Area: TypeAlias = NDArray[np.bool_]
"""Pixels (H, W) of one map."""


def class_id(name: str) -> int:
    """The id of a class by its name (`l_eye`) or its title (`left eye`). Raises MaskError."""
    key = name.strip().lower()
    for known in CLASSES:
        if key in (known.name, known.title):
            return known.id
    raise MaskError(f"There is no class {name.strip()!r}; the classes are {', '.join(CLASS_NAMES)}.")


def class_ids(names: str) -> tuple[int, ...]:
    """The ids of classes in a comma-separated list; empty entries are ignored. Raises MaskError."""
    return tuple(class_id(name) for name in names.split(",") if name.strip())


def among(ids: Ids, classes: tuple[int, ...]) -> Area:
    """Where a map (H, W) holds any of these classes."""
    table = np.zeros(256, bool)
    table[list(classes)] = True
    return np.asarray(table[ids])


def check_unlocked(classes: list[int], locked: tuple[int, ...]) -> None:
    """Raises MaskError if one of the classes, which are to change, is locked."""
    for c in classes:
        if c in locked:
            raise MaskError(f"{CLASS_NAMES[c]} is to be changed and is locked: take it out of locked.")


def protected(before: Ids, after: Ids, locked: tuple[int, ...]) -> Ids:
    """`after`, changed so that locked classes neither lose nor gain a pixel."""
    if not locked:
        return after
    return np.where(among(before, locked) | among(after, locked), before, after)
