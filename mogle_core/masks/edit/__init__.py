"""Edits label maps on their class ids: every operation is exact, and colours are never mixed.

`edit` is the entry point of all operations on single maps. `set_region` takes a region from outside, `transplant`
a part from another face, and `morph` interpolates between two maps. Each file covers one theme and works on one map
(H, W) in numpy.
"""

from .area import set_region
from .morphing import morph
from .operations import ALL, OPERATIONS, STYLES, edit
from .transplant import PARTS, transplant

__all__ = ["ALL", "OPERATIONS", "PARTS", "STYLES", "edit", "morph", "set_region", "transplant"]
