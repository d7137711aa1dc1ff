"""Data sets of faces with masks and captions on disk: `find_pairs` reads them, and `check` reports their problems."""

from __future__ import annotations

from .layouts import Layout
from .pairs import DatasetError, Pair, Split, find_pairs, list_pairs
from .reading import read_mask, read_picture

__all__ = [
    "DatasetError",
    "Layout",
    "Pair",
    "Split",
    "find_pairs",
    "list_pairs",
    "read_mask",
    "read_picture",
]
