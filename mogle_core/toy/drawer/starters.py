"""The painter's gallery: a dozen of the drawer's faces as paintings, written into a module for the browser.

python -m mogle_core.toy.drawer.starters web/painter/map/starters.mjs
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...masks.painting import write_painting
from ...support.whole_files import write_whole
from .faces import Attributes, draw_face

SIZE = 512
SEEDS = (15, 36, 39, 12, 0, 8, 17, 31, 3, 22, 28, 2)

_HEAD = """\
/**
 * The gallery's faces, drawn by the project's own face drawer. Not written by hand:
 * python -m mogle_core.toy.drawer.starters web/painter/map/starters.mjs
 */

/** @typedef {{title: string, painting: string}} Starter */

/** @type {ReadonlyArray<Starter>} */
export const STARTERS = Object.freeze([
"""


def title_of(face: Attributes) -> str:
    """A title for a face, of what a mask can show."""
    items = (face.hat, "glasses" if face.glasses else None, "earrings" if face.earrings else None)
    words = [f"{face.hair_length} {face.hair_texture} hair", *filter(None, items)]
    return ", ".join(words if face.pose == "frontal" else [*words, face.pose])


def without_specks(ids: NDArray[np.uint8], least: int = 64) -> NDArray[np.uint8]:
    """Ids (H, W) in which regions of fewer pixels than `least` take the most frequent class around them.

    Where shapes meet, the drawer leaves single pixels; a painter would wonder about them.
    """
    import cv2

    cleaned: NDArray[np.uint8] = ids.copy()
    for class_id in np.unique(ids):
        region = (ids == class_id).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(region, connectivity=4)
        for part in range(1, count):
            if stats[part, cv2.CC_STAT_AREA] < least:
                speck = (parts == part).astype(np.uint8)
                around = cv2.dilate(speck, np.ones((3, 3), np.uint8)) > speck
                cleaned[speck > 0] = np.bincount(ids[around]).argmax()
    return cleaned


def starters() -> Iterator[tuple[str, str]]:
    """(title, painting) of each face of the gallery."""
    for seed in SEEDS:
        face = draw_face(seed, SIZE)
        yield title_of(face.attributes), write_painting(torch.from_numpy(without_specks(face.ids)))


def module() -> str:
    """The source of `web/painter/map/starters.mjs`."""
    lines = (f"  {{ title: {json.dumps(title)}, painting: {json.dumps(text)} }},\n" for title, text in starters())
    return _HEAD + "".join(lines) + "]);\n"


if __name__ == "__main__":
    write_whole(Path(sys.argv[1]), module())
