"""`mogle toy faces`: writes drawn faces as a plain data set of pictures, masks and captions, to train the toy on."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from tqdm import trange

from ...masks.decouple import index_image
from ...support.whole_files import write_png, write_whole
from .faces import draw_face
from .marks import draw_landmarks
from .sketching import draw_sketch

_WRITTEN = ("images", "masks", "captions.json", "sketches", "landmarks")


def write_folder(
    out: Path, count: int, size: int = 128, seed: int = 0, sketches: bool = False, landmarks: bool = False
) -> None:
    """Write out/images/00000.png, out/masks/00000.png (ids in the palette) and out/captions.json.

    seed: the seed of the first face; the others use the next ones. sketches, landmarks: also write
    out/sketches/00000.png and out/landmarks/00000.png, for `[conditions]` of a training.

    Raises:
        ValueError: `out` holds other files, or count or size is too small.
    """
    if count < 1:
        raise ValueError(f"{count} faces were asked for; --count starts at 1.")
    if out.exists() and any(child.name not in _WRITTEN for child in out.iterdir()):
        raise ValueError(f"{out} holds other files: name a new folder.")
    captions = {}
    for number in trange(count, desc="draw", unit="face"):
        face, name = draw_face(seed + number, size), f"{number:05d}.png"
        write_png(Image.fromarray(face.picture), out / "images" / name)
        write_png(index_image(face.ids), out / "masks" / name)
        captions[name] = [face.caption]
        if sketches:
            write_png(Image.fromarray(draw_sketch(seed + number, size)), out / "sketches" / name)
        if landmarks:
            write_png(Image.fromarray(draw_landmarks(seed + number, size)), out / "landmarks" / name)
    write_whole(out / "captions.json", json.dumps(captions, indent=1) + "\n")
