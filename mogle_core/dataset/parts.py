"""CelebAMask-HQ's part masks, one black-and-white file for each part of a face, merged into label maps."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from ..masks.decouple import index_image
from ..masks.labels import CLASS_NAMES
from ..support.whole_files import write_png
from .errors import DatasetError

FOLDER = "CelebAMask-HQ-mask-anno"

ORDER = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip",
    "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
"""The order in which the official maps were painted, later parts over earlier ones."""

_NAME = re.compile(r"(\d+)_(\w+)")


def merge_parts(folder: Path, out: Path) -> int:
    """Write out/{number}.png, indexed in the palette, for each face of folder/*/{number:05d}_{part}.png.

    Faces that `out` already has are left as they are.

    Returns:
        How many were written.

    Raises:
        DatasetError: no part masks, or one of another size or unreadable.
    """
    faces = _parts_by_face(folder.rglob("*.png"))
    if not faces:
        raise DatasetError(f"{folder} holds no part masks such as 0/00000_skin.png.")
    missing = [number for number in sorted(faces) if not (out / f"{number}.png").exists()]
    for number in tqdm(missing, desc="part masks", unit="face", disable=None):
        write_png(index_image(merged(faces[number])), out / f"{number}.png")
    return len(missing)


def merged(parts: Mapping[str, Path]) -> NDArray[np.uint8]:
    """A face's part masks by name -> ids (H, W)."""
    ids: NDArray[np.uint8] | None = None
    for name in (name for name in ORDER if name in parts):
        region = _region(parts[name])
        ids = np.zeros(region.shape, dtype=np.uint8) if ids is None else ids
        if region.shape != ids.shape:
            raise DatasetError(f"{parts[name]} is {region.shape[::-1]}, the face's other parts {ids.shape[::-1]}.")
        ids[region] = CLASS_NAMES.index(name)
    assert ids is not None  # every face has a part, by how they were found
    return ids


def _parts_by_face(paths: Iterable[Path]) -> dict[int, dict[str, Path]]:
    faces: dict[int, dict[str, Path]] = defaultdict(dict)
    for path in paths:
        match = _NAME.fullmatch(path.stem)
        if match and match[2] in ORDER:
            faces[int(match[1])][match[2]] = path
    return faces


def _region(path: Path) -> NDArray[np.bool_]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L")) > 127
    except (OSError, SyntaxError) as error:
        raise DatasetError(f"{path}: the part mask cannot be read ({error}); unpack it again.") from error
