"""Merges CelebAMask-HQ's part masks, one black-and-white file for each part of a face, into label maps."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from ..masks.decouple import index_image
from ..masks.errors import percent
from ..masks.labels import CLASS_NAMES
from ..support.sentences import counted
from ..support.whole_files import write_png
from .errors import DatasetError
from .listing import files_below

logger = logging.getLogger(__name__)

FOLDER = "CelebAMask-HQ-mask-anno"

ORDER = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip",
    "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
"""The order in which the official maps were painted; later parts cover earlier ones."""

UNCLEAR = 0.2
"""A part mask gets a warning if at least this share of its pixels is grey. Smooth edges have fewer grey pixels."""

_NAME = re.compile(r"(\d+)_(\w+)")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def merge_parts(folder: Path, out: Path) -> int:
    """Write out/{number}.png, indexed in the palette, for each face of folder/*/{number:05d}_{part}.png.

    Faces that `out` already has are left as they are.

    Returns:
        The number of new label maps.

    Raises:
        DatasetError: there are no part masks, one has another size or is unreadable, or a part's name is unknown.
    """
    faces = _parts_by_face(files_below(folder, _SUFFIXES))
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
    assert ids is not None  # every face here has at least one part
    return ids


def _parts_by_face(paths: Iterable[Path]) -> dict[int, dict[str, Path]]:
    faces: dict[int, dict[str, Path]] = defaultdict(dict)
    unknown: Counter[str] = Counter()
    for path in paths:
        match = _NAME.fullmatch(path.stem)
        if match is None:
            logger.warning("%s is left out: part masks are named like 00000_skin.png.", path)
        elif (part := match[2].lower()) not in ORDER:
            unknown[match[2]] += 1
        elif part in faces[int(match[1])]:
            raise DatasetError(f"{path}: {faces[int(match[1])][part]} is the same part of the same face; keep one.")
        else:
            faces[int(match[1])][part] = path
    if unknown:
        raise DatasetError(_unknown_parts(unknown))
    return faces


def _unknown_parts(unknown: Counter[str]) -> str:
    names = ", ".join(f"{name} ({counted(count, 'file')})" for name, count in unknown.most_common(5))
    near = get_close_matches(next(iter(unknown)).lower(), ORDER, 1)
    meant = f" Was {near[0]} meant?" if near else ""
    return f"Part masks of unknown parts: {names}.{meant} Known are {', '.join(ORDER)}. Rename or remove the others."


def _region(path: Path) -> NDArray[np.bool_]:
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if (share := _unclear(_levels(upright))) > UNCLEAR:
                logger.warning(
                    "%s: %s of the part's pixels are neither black nor white. Those brighter than half of the "
                    "brightest are taken; save the part in two values if others are meant.",
                    path,
                    percent(share),
                )
            return _drawn(upright)
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path}: the part mask cannot be read ({error}); unpack it again.") from error


def _drawn(image: Image.Image) -> NDArray[np.bool_]:
    """The area of the part: brighter than half of the brightest level, or the opaque pixels if only opacity differs."""
    levels = _levels(image)
    bright: NDArray[np.bool_] = levels > levels.max() / 2
    if _holds_numbers(image) or not ("transparency" in image.info or {"A", "a"} & set(image.getbands())):
        return bright
    opaque: NDArray[np.bool_] = np.asarray(image.convert("RGBA").getchannel("A")) > 127
    seen = levels[opaque]
    uniform = seen.size == 0 or seen.max() == seen.min()
    return opaque if uniform and not opaque.all() else opaque & (levels > seen.max(initial=0) / 2)


def _levels(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image if _holds_numbers(image) else image.convert("RGBA").convert("L"), dtype=np.float64)


def _holds_numbers(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _unclear(levels: NDArray[np.float64]) -> float:
    """Among the pixels above a quarter of the maximum, the share of grey ones: at most three quarters of it."""
    highest = levels.max()
    drawn = int((levels > highest / 4).sum())
    return float((levels <= highest * 3 / 4).sum() - (levels <= highest / 4).sum()) / drawn if drawn else 0.0
