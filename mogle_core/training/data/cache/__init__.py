"""The cache: parts that are encoded once and read by every later run.

`plan.py` lists the keys (`keys.py`) of all that a run shows; `fill.py` encodes what the store (`shards.py`) lacks;
`opening.py` does both and gives the run its rows.
"""

from __future__ import annotations

from .fill import fill
from .opening import check_space, keep_plan, kept_plan, open_cache, open_store
from .plan import Needs, Plan, make_plan, needs_of, read_all
from .shards import CacheError, DiskStore, MemoryStore, Store, sole_writer

__all__ = [
    "CacheError",
    "DiskStore",
    "MemoryStore",
    "Needs",
    "Plan",
    "Store",
    "check_space",
    "fill",
    "keep_plan",
    "kept_plan",
    "make_plan",
    "needs_of",
    "open_cache",
    "open_store",
    "read_all",
    "sole_writer",
]
