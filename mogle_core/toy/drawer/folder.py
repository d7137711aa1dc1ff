"""`mogle toy faces`: writes drawn faces as a plain data set of pictures, masks and captions, to train the toy on."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from tqdm import trange

from ...masks.decouple import index_image
from ...support.whole_files import write_png, write_whole
from .faces import draw_face


def write_folder(out: Path, count: int, size: int = 128, seed: int = 0) -> None:
    """Write out/images/00000.png, out/masks/00000.png (ids in the palette) and out/captions.json.

    seed: the seed of the first face; the others use the next ones.

    Raises:
        ValueError: `out` holds other files, or count or size is too small.
    """
    if count < 1:
        raise ValueError(f"{count} faces were asked for; --count starts at 1.")
    if out.exists() and any(child.name not in ("images", "masks", "captions.json") for child in out.iterdir()):
        raise ValueError(f"{out} holds other files: name a new folder.")
    captions = {}
    for number in trange(count, desc="draw", unit="face"):
        face, name = draw_face(seed + number, size), f"{number:05d}.png"
        write_png(Image.fromarray(face.picture), out / "images" / name)
        write_png(index_image(face.ids), out / "masks" / name)
        captions[name] = [face.caption]
    write_whole(out / "captions.json", json.dumps(captions, indent=1) + "\n")
