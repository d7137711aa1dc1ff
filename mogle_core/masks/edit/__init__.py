"""Editing label maps on their class ids: exact at every amount, never by mixing colours.

`edit` is the one entry to all operations on single maps; `set_region` takes a region from outside, and
`morph` makes the maps between two. Within, a file holds one theme, and works on one map (H, W) in numpy.
"""

from .area import set_region
from .morphing import morph
from .operations import ALL, OPERATIONS, STYLES, edit

__all__ = ["ALL", "OPERATIONS", "STYLES", "edit", "morph", "set_region"]
