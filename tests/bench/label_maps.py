"""Read real label maps as people store them, and count what is read right, refused and warned about.

    python tests/bench/label_maps.py FOLDER --masks 300 --spoiled 36

FOLDER holds masks in CelebAMask-HQ's palette or ids, such as the data set's own. Each is stored again in every label
space, palette and file form that the reader knows, and damaged in every way that it has to notice. A line for each
form says how many were read right without a warning, read right with one, refused, warned about, and read wrongly in
silence. Exit status 1 if a spoiled form is read wrongly in silence in more than 5 % of its masks, or if more than
1 % of a right form is refused or read wrongly. Left and right of BiSeNet's and FaRL's drawing colours do not count
where one colour stands for both.
"""

from __future__ import annotations

import argparse
import io
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "shared")]
from mogle_core.masks.decode import MaskError, decode_image
from mogle_core.masks.labels import CLASS_NAMES, FLIPPED, GUESSED, LABEL_SPACES
from mogle_core.masks.palettes import PALETTES

Ids = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
LOOSE = {
    "lapa": {"neck": "skin"},
    "mediapipe": {
        name: "skin"
        for name in ("nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip", "l_ear", "r_ear", "eye_g")
    },
    "helen": {"neck": "skin"},
    "ibugmask": {"neck": "skin"},
}
FOREIGN = {
    "LFW, 3 classes": {"hair": 1, "skin": 2, "nose": 2, "l_eye": 2, "r_eye": 2, "l_brow": 2, "r_brow": 2, "mouth": 2,
                       "u_lip": 2, "l_lip": 2, "l_ear": 2, "r_ear": 2, "neck": 2},
    "make-up: lips, skin, hair": {"u_lip": 1, "l_lip": 1, "skin": 2, "hair": 3},
    "hair only": {"hair": 1},
}  # fmt: skip


class Warnings(logging.Handler):
    """Counts the reader's warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def table(space: str) -> list[int]:
    """The source id of each class; what the space lacks is marked as its parser does."""
    of_class = {c: source for source, c in reversed(list(enumerate(LABEL_SPACES[space])))}
    place = LOOSE.get(space, {})
    if space in ("e4s", "easyportrait"):  # one id for what has two sides, or two lips
        for c, other in [(c, FLIPPED[c]) for c in range(19)] + [(11, 12), (12, 11)]:
            of_class.setdefault(c, of_class.get(other, 0))
        of_class.setdefault(2, of_class.get(1, 0)) if space == "easyportrait" else None
    instead = {c: CLASS_NAMES.index(place.get(name, "background")) for c, name in enumerate(CLASS_NAMES)}
    return [of_class[c] if c in of_class else of_class[instead[c]] for c in range(19)]


def in_space(ids: Ids, space: str) -> Ids:
    return np.array(table(space), np.uint8)[ids]


def grey(ids: Ids) -> Image.Image:
    return Image.fromarray(ids)


def painted(ids: Ids, palette: int, exchanged: bool = False) -> Image.Image:
    """A label map in one of the known palettes' colours."""
    colours = np.array([c or (0, 0, 0) for c in PALETTES[palette].colours] + [(0, 0, 0)] * 19, np.uint8)[:19]
    rgb = colours[in_space(ids, PALETTES[palette].space or "celebamask")]
    return Image.fromarray(rgb[..., ::-1].copy() if exchanged else rgb)


def stored(image: Image.Image, form: str = "PNG", **options: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return Image.open(file)


def voc(ids: Ids) -> Image.Image:
    """An indexed picture with PASCAL VOC's colours, which data sets of any classes use for display."""
    colours = []
    for number in range(256):
        rgb, rest = [0, 0, 0], number
        for shift in range(7, -1, -1):
            for channel in range(3):
                rgb[channel] |= (rest >> channel & 1) << shift
            rest >>= 3
        colours += rgb
    image = Image.fromarray(ids, "P")
    image.putpalette(colours)
    return image


def in_channels(ids: Ids, *channels: int) -> Image.Image:
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    for channel in channels:
        rgb[..., channel] = np.roll(ids, 3 * channel, 0)
    return Image.fromarray(rgb)


def bordered(ids: Ids) -> Image.Image:
    edge = np.zeros(ids.shape, bool)
    edge[1:] |= ids[1:] != ids[:-1]
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    return grey(np.where(edge, 255, ids).astype(np.uint8))


def small_in_frame(ids: Ids) -> Ids:
    face = np.array(grey(ids).resize((ids.shape[1] * 9 // 20, ids.shape[0] * 9 // 20), Image.Resampling.NEAREST))
    out = np.zeros_like(ids)
    out[30 : 30 + face.shape[0], 20 : 20 + face.shape[1]] = face
    return out


def foreign(ids: Ids, numbers: dict[str, int]) -> Ids:
    return np.array([numbers.get(name, 0) for name in CLASS_NAMES], np.uint8)[ids]


def right_forms() -> Iterator[tuple[str, Callable[[Ids], Image.Image], str]]:
    """(name, how it is stored, the label space that is right)."""
    for space in GUESSED:
        yield f"ids, {space}", lambda ids, s=space: grey(in_space(ids, s)), space
    for number, palette in enumerate(PALETTES):
        space = palette.space or "celebamask"
        yield f"colours, {palette.title}", lambda ids, n=number: painted(ids, n), space
        yield (
            f"blue first, {palette.title}",
            lambda ids, n=number: painted(ids, n, exchanged=True),
            space,
        )
        yield (
            f"indexed, {palette.title}",
            lambda ids, n=number: stored(painted(ids, n).quantize(64)),
            space,
        )
    yield "indexed ids with VOC's colours", voc, "celebamask"
    yield "16 bits, times 257", lambda ids: Image.fromarray(ids.astype(np.uint16) * 257), "celebamask"
    yield "small in the frame, BiSeNet's colours", lambda ids: painted(small_in_frame(ids), 2), "bisenet"
    yield "small in the frame, CelebAMask-HQ's ids", lambda ids: grey(small_in_frame(ids)), "celebamask"


def spoiled_forms() -> Iterator[tuple[str, Callable[[Ids], Image.Image]]]:
    """(name, how it is stored): what may not be read in silence."""
    for name, channels in {"red": (0,), "green": (1,), "blue": (2,), "red, green, blue": (0, 1, 2)}.items():
        yield f"ids in {name}", lambda ids, c=channels: in_channels(ids, *c)
    yield "JPEG of ids", lambda ids: stored(grey(ids), "JPEG", quality=95)
    yield "lossy WebP of ids", lambda ids: stored(grey(ids), "WEBP", quality=80)
    yield "border of 255", bordered
    yield "ids times 10", lambda ids: grey((ids * 10).astype(np.uint8))
    yield "colours turned to grey", lambda ids: painted(ids, 0).convert("L")
    yield (
        "colours that nobody knows",
        lambda ids: Image.fromarray(np.random.default_rng(7).integers(60, 256, (19, 3)).astype(np.uint8)[ids]),
    )
    for space in GUESSED:
        yield f"upside down, {space}", lambda ids, s=space: grey(in_space(ids, s)[::-1].copy())
        yield f"on its side, {space}", lambda ids, s=space: grey(np.rot90(in_space(ids, s)).copy())
    for space in ("e4s", "easyportrait", "facesynthetics"):
        yield f"ids of {space}, not named", lambda ids, s=space: grey(in_space(ids, s))
    for name, numbers in FOREIGN.items():
        yield name, lambda ids, n=numbers: grey(foreign(ids, n))


def half_forms() -> Iterator[tuple[str, Callable[[Ids], Image.Image], str]]:
    """Crops: to be read in their space, or with a warning."""
    for space in GUESSED:
        yield f"top half, {space}", lambda ids, s=space: grey(in_space(ids[: len(ids) // 2], s)), space
        yield f"lower half, {space}", lambda ids, s=space: grey(in_space(ids[len(ids) // 2 :], s)), space


def outcome(image: Image.Image, space: str | None, warnings: Warnings) -> str:
    warnings.count = 0
    try:
        read = decode_image(image)
    except MaskError:
        return "refused"
    if space is not None and read.label_space == space:
        return "right, warned" if warnings.count else "right"
    return "warned" if warnings.count else "silent"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--masks", type=int, default=300, help="masks of each form that is right")
    options.add_argument("--spoiled", type=int, default=36, help="masks of each form that is not")
    options.add_argument("--only", default="", help="forms whose name contains this")
    given = options.parse_args()
    files = sorted(p for p in given.folder.rglob("*") if p.suffix.lower() in (".png", ".bmp") and p.stat().st_size)
    random.Random(0).shuffle(files)
    warnings = Warnings()
    logging.getLogger("mogle_core").addHandler(warnings)
    logging.getLogger("mogle_core").propagate = False
    masks = [decode_image(Image.open(path)).ids[0].numpy() for path in files[: given.masks]]
    print(f"{len(masks)} masks of {len(files)}\n")
    failed = 0
    for title, forms, count, right in (
        ("right", right_forms(), given.masks, True),
        ("crops", half_forms(), given.spoiled, False),
        ("spoiled", ((name, make, None) for name, make in spoiled_forms()), given.spoiled, False),
    ):
        print(f"{title:44} right  warned  refused  wrong: warned  silent")
        for name, make, space in (form for form in forms if given.only in form[0]):
            counts = Counter(outcome(make(ids), space, warnings) for ids in masks[:count])
            total = sum(counts.values())
            bad = counts["silent"] + (counts["refused"] + counts["warned"] if right else 0)
            failed += bad > (0.01 if right else 0.05) * total
            print(
                f"  {name:42} {counts['right']:5} {counts['right, warned']:7} {counts['refused']:8} "
                f"{counts['warned']:14} {counts['silent']:7}{'  <' if bad else ''}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
