"""Further conditions beside the mask: one file for each kind, with what turns an input into its encoded picture.

A file of this folder that defines `KIND` is a kind; nothing else has to be changed for a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from .kind import ABSENT as ABSENT
from .kind import Kind as Kind


def _kinds() -> dict[str, Kind]:
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    kinds = [module.KIND for module in modules if hasattr(module, "KIND")]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: (kind.rank, kind.name))}


KINDS: Mapping[str, Kind] = MappingProxyType(_kinds())
"""All kinds by name, in the order in which nodes list them."""
