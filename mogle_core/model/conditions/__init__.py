"""Further conditions beside the mask: one file for each kind, with what turns an input into its encoded picture.

A new kind is a file that defines `KIND`, and its place in the list below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import landmarks, sketch
from .kind import ABSENT as ABSENT
from .kind import Kind as Kind

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (sketch.KIND, landmarks.KIND)})
"""All kinds by name, in the order in which nodes list them."""
