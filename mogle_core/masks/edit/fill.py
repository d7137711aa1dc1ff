"""What appears where a region is taken away: the classes behind it, from the nearest pixel."""

from __future__ import annotations

import numpy as np

from ..decode import MaskError
from ..labels import CLASS_NAMES
from .classes import Area, Ids, among, class_ids
from .distance import spread

GROUND = class_ids("background, skin, l_ear, r_ear, hair, hat, neck, cloth")
"""The classes on which the others lie. So an eye does not grow when the glasses around it are removed."""

_BEHIND = {
    **dict.fromkeys(class_ids("l_eye, r_eye, l_brow, r_brow"), (*GROUND, *class_ids("eye_g"))),
    **dict.fromkeys(class_ids("mouth"), (*GROUND, *class_ids("u_lip, l_lip"))),
}


def behind(ids: Ids, region: int, locked: tuple[int, ...] = ()) -> Area:
    """The pixels (H, W) of unlocked classes on which the region lies; if there are none, those of all other classes."""
    others = (ids != region) & ~among(ids, locked)
    beneath = others & among(ids, _BEHIND.get(region, GROUND))
    return np.asarray(beneath if beneath.any() else others)


def uncover(ids: Ids, region: int, left: Area, locked: tuple[int, ...] = ()) -> Ids:
    """The map after the region has left the pixels `left`: each takes the nearest class behind it.

    If all other classes are locked, or there are none, the pixels stay.
    """
    sources = behind(ids, region, locked)
    return spread(ids, left, sources) if sources.any() else ids


def remove(ids: Ids, region: int, locked: tuple[int, ...] = ()) -> Ids:
    """The map without the region. Raises MaskError if nothing could take its place."""
    result = uncover(ids, region, ids == region, locked)
    if np.any(result == region):
        others = "unlocked class" if locked else "class"
        raise MaskError(
            f"The mask has no other {others} than {CLASS_NAMES[region]} that could fill its place: "
            + ("unlock one, or " if locked else "")
            + "use replace by instead of remove."
        )
    return result
