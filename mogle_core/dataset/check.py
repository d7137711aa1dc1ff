"""`mogle prepare --check`: what is wrong with a data set, file by file, and what it looks like as a whole."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..masks.labels import CLASS_NAMES, CLASSES, NUM_CLASSES, PAIRS
from ..support.sentences import counted
from .errors import DatasetError
from .frames import SAME_ASPECT
from .pairs import Listing, Pair
from .reading import open_picture, read_mask

MIRRORED = 0.5
"""The share of faces on which left must be on the picture's right, below which a set was mirrored."""

SHOWN = 10
SMALLEST = 64  # pixels; below it there is no face to learn from
LONG_CAPTION = 77  # words: CLIP reads so many tokens at most


@dataclass(frozen=True)
class Seen:
    """What one pair shows. counts: (19,) pixels. order: of eyes, brows, ears, 1 right way round, -1 swapped, 0 no pair.

    problems: sentences. off_palette: share of pixels. picture, mask: digests of the pixels.
    """

    problems: tuple[str, ...]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(NUM_CLASSES, dtype=np.int64))
    order: tuple[int, ...] = (0,) * len(PAIRS)
    off_palette: float = 0.0
    picture: bytes | None = None
    mask: bytes | None = None


@dataclass(frozen=True)
class Report:
    """errors: what stops a training. warnings: what should be looked at. facts: the rest, line by line."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]

    def lines(self) -> list[str]:
        def some(kind: str, found: Sequence[str]) -> list[str]:
            more = [f"{kind}: ... and {len(found) - SHOWN} more."] if len(found) > SHOWN else []
            return [f"{kind}: {sentence}" for sentence in found[:SHOWN]] + more

        verdict = "The data set can be trained on." if not self.errors else "The data set cannot be trained on."
        return [*self.facts, *some("warning", self.warnings), *some("error", self.errors), verdict]


def check(listing: Listing, label_space: str = "celebamask", held_out: Iterable[str] = ()) -> Report:
    """Read every file of a data set and say what was found.

    Args:
        listing: of all its splits. held_out: names that validation keeps from training.
    """
    logger = logging.getLogger("mogle_core.masks.decode")
    before, level = logger.level, logging.ERROR  # it would say of each file what is said below of all
    logger.setLevel(level)
    try:
        seen = _look(listing.pairs, label_space)
    finally:
        logger.setLevel(before)
    kept_out = set(held_out)
    splits = {pair.name: "held out" if pair.name in kept_out else pair.split for pair in listing.pairs}
    errors = [*listing.problems, *(problem for one in seen for problem in one.problems)]
    leaks, doubles = _duplicates(listing.pairs, seen, splits)
    order, mirrored = _order(seen)
    warnings = [*mirrored, *leaks, *doubles, *_off_palette(listing.pairs, seen), *_captions(listing.pairs)]
    facts = [_size(listing, splits), *_shares(seen), *order, _told(listing.pairs)]
    return Report(tuple(errors), tuple(warnings), tuple(facts))


def _look(pairs: Sequence[Pair], label_space: str) -> list[Seen]:
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda pair: look(pair, label_space), pairs)
        return list(tqdm(found, total=len(pairs), desc="check", unit="pair", disable=None))


def look(pair: Pair, label_space: str) -> Seen:
    """Read one pair; what cannot be read is a problem, not an error."""
    problems = []
    picture = ids = None
    size = (0, 0)
    off_palette = 0.0
    try:
        image = open_picture(pair.face)
        size, picture = image.size, hashlib.sha256(image.tobytes()).digest()
        problems += [f"{pair.face}: {sentence}" for sentence in _odd(np.asarray(image))]
    except DatasetError as error:
        problems.append(str(error))
    try:
        label_map = read_mask(pair.mask, label_space)
        ids, off_palette = label_map.ids[0], label_map.off_palette
    except DatasetError as error:
        problems.append(str(error))
    if ids is None:
        return Seen(tuple(problems), picture=picture)
    height, width = ids.shape
    if picture is not None and abs(size[0] * height / (size[1] * width) - 1) > SAME_ASPECT:
        problems.append(f"{pair.face} is {size[0]} x {size[1]}, its mask {width} x {height}: not of one cut.")
    counts = torch.bincount(ids.flatten().long(), minlength=NUM_CLASSES)
    if int((counts > 0).sum()) == 1:
        problems.append(f"{pair.mask}: all of it is {CLASS_NAMES[int(counts.argmax())]}; this is no face's mask.")
    digest = hashlib.sha256(ids.numpy().tobytes()).digest()
    return Seen(tuple(problems), counts.numpy(), side_order(ids), off_palette, picture, digest)


def _odd(picture: NDArray[np.uint8]) -> list[str]:
    height, width = picture.shape[:2]
    found = []
    if min(height, width) < SMALLEST:
        found.append(f"the picture is only {width} x {height} pixels.")
    if int(picture.max()) - int(picture.min()) < 8:
        found.append("the picture is of a single colour.")
    return found


def side_order(ids: Tensor) -> tuple[int, ...]:
    """For eyes, brows and ears of ids (H, W): 1 if the subject's left is on the picture's right, -1 if not, 0 if
    one of the two is not seen."""
    columns = torch.arange(ids.shape[1], dtype=torch.float64)

    def middle(class_id: int) -> float | None:
        across = (ids == class_id).sum(0)
        return float((across * columns).sum() / across.sum()) if across.any() else None

    order = []
    for left, right in PAIRS:
        at = middle(left), middle(right)
        order.append(0 if at[0] is None or at[1] is None else 1 if at[0] > at[1] else -1)
    return tuple(order)


def _order(seen: Sequence[Seen]) -> tuple[list[str], list[str]]:
    """What is seen of left and right over the whole set, and a warning where it is the wrong way round."""
    facts, warnings = [], []
    for (left, _), orders in zip(PAIRS, zip(*(one.order for one in seen), strict=True), strict=True):
        name = CLASSES[left].title.removeprefix("left ")
        right_way, wrong = orders.count(1), orders.count(-1)
        if not right_way + wrong:
            continue
        share = right_way / (right_way + wrong)
        facts.append(f"left and right {name}s are in order on {share:.1%} of {right_way + wrong} faces")
        if share < MIRRORED:
            warnings.append(
                f"left and right {name}s are swapped on {1 - share:.1%} of the faces: the masks were mirrored, or "
                "their parser names left and right from the viewer. Swap them before training."
            )
        elif wrong and share < 0.98:
            warnings.append(f"left and right {name}s are swapped on {wrong} faces; a parser may have mixed them up.")
    return facts, warnings


def _duplicates(pairs: Sequence[Pair], seen: Sequence[Seen], splits: dict[str, str]) -> tuple[list[str], list[str]]:
    """Pictures that are in two splits, and pictures or masks that are there twice."""
    leaks, doubles = [], []
    for kind in ("picture", "mask"):
        groups: dict[bytes, list[Pair]] = defaultdict(list)
        for pair, one in zip(pairs, seen, strict=True):
            if (digest := getattr(one, kind)) is not None:
                groups[digest].append(pair)
        for same in (group for group in groups.values() if len(group) > 1):
            names = ", ".join(pair.name for pair in same[:4])
            found = {splits[pair.name] for pair in same}
            if kind == "picture" and len(found) > 1:
                leaks.append(f"the same picture is in {' and '.join(sorted(found))}: {names}. Scores would flatter.")
            else:
                doubles.append(f"the same {kind} is there {len(same)} times: {names}.")
    return leaks, doubles


def _off_palette(pairs: Sequence[Pair], seen: Sequence[Seen]) -> list[str]:
    return [
        f"{pair.mask}: {one.off_palette:.2%} of its pixels have no palette colour and take their neighbours' class."
        for pair, one in zip(pairs, seen, strict=True)
        if one.off_palette > 0
    ]


def _captions(pairs: Sequence[Pair]) -> list[str]:
    without = [pair.name for pair in pairs if not pair.captions]
    long = [pair.name for pair in pairs if any(len(text.split()) > LONG_CAPTION for text in pair.captions)]
    found = []
    if without:
        found.append(f"{counted(len(without), 'pair')} without a caption: trained on the empty prompt ({without[0]}).")
    if long:
        found.append(
            f"{counted(len(long), 'pair')} whose caption has over {LONG_CAPTION} words: CLIP cuts it ({long[0]})."
        )
    return found


def _size(listing: Listing, splits: dict[str, str]) -> str:
    counts = Counter(splits.values())
    parts = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if name != "all")
    return f"{counted(len(listing.pairs), 'pair')} in layout {listing.layout}" + (f": {parts}" if parts else "")


def _shares(seen: Sequence[Seen]) -> list[str]:
    """Of each class, its share of all pixels and of all faces."""
    counts = np.stack([one.counts for one in seen]) if seen else np.zeros((1, NUM_CLASSES), dtype=np.int64)
    pixels, faces = counts.sum(0) / max(1, int(counts.sum())), (counts > 0).mean(0)
    return [
        f"{name:<10} {pixel:7.2%} of the pixels, on {face:6.1%} of the faces"
        for name, pixel, face in zip(CLASS_NAMES, pixels, faces, strict=True)
    ]


def _told(pairs: Sequence[Pair]) -> str:
    texts = [text for pair in pairs for text in pair.captions]
    if not texts:
        return "no captions"
    words = np.array([len(text.split()) for text in texts])
    return (
        f"{counted(len(texts), 'caption')}, {len(set(texts))} of them different, "
        f"{counted(round(words.mean()), 'word')} on average, {words.max()} at most"
    )
