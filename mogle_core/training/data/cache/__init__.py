"""What is encoded once and kept: keyed by content, planned before it is filled, in files that are whole or absent."""

from __future__ import annotations

from .fill import fill
from .plan import Needs, Plan, make_plan, needs_of
from .shards import CacheError, DiskStore, MemoryStore, Store

__all__ = ["CacheError", "DiskStore", "MemoryStore", "Needs", "Plan", "Store", "fill", "make_plan", "needs_of"]
