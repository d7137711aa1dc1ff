"""The example photo: a drawn face as in a snapshot, off-centre, tilted, with space around it.

    python -m mogle_core.toy.drawer.photo mogle_core/toy/example_photo.png

It shows what Align Face is for: the toy's pictures are upright squares, as are those that Face-MoGLE was
trained on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...support.whole_files import write_png
from .faces import draw_face
from .faceset import HELD_OUT

SEED = HELD_OUT + 173
WIDTH, HEIGHT = 256, 208

_DRAWN, _SCALE, _TILT = 256, 0.74, 5.0  # pixels a side, photo pixels for each, degrees
_MIDDLE, _BELOW = 0.54, 6  # of the width; photo pixels of the drawing that are cut off below


def draw_photo(seed: int = SEED) -> NDArray[np.uint8]:
    """The photo (208, 256, 3) of this seed's face. Outside the drawing, its edge pixels are repeated."""
    picture = draw_face(seed, _DRAWN).picture
    half = _DRAWN / 2
    right, down = WIDTH * _MIDDLE - half, HEIGHT + _BELOW - _SCALE * half - half
    placed = cv2.getRotationMatrix2D((half, half), _TILT, _SCALE) + np.array([[0, 0, right], [0, 0, down]])
    photo = cv2.warpAffine(picture, placed, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return photo.astype(np.uint8)


if __name__ == "__main__":
    write_png(Image.fromarray(draw_photo()), Path(sys.argv[1]), optimize=True)
