"""`mogle prepare --check`: reports the problems of a data set file by file, and statistics of the whole."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..masks.labels import CLASS_NAMES, NUM_CLASSES, PAIRS
from ..support.sentences import counted
from .errors import DatasetError
from .findings import Finding, findings_of, pair_name, rare_classes, side_order
from .frames import SAME_ASPECT
from .pairs import Listing, Pair
from .reading import open_picture, read_mask

MIRRORED = 0.5
"""The share of faces on which left must be on the picture's right, below which a set was mirrored."""

AGREEING = 0.8
"""The paper had a mask repaired if two parsers agreed on less than this share of its pixels."""

SHOWN = 10
SMALLEST = 64  # pixels; smaller pictures do not show enough of a face
LONG_CAPTION = 77  # words; CLIP cuts longer captions

Parse = Callable[[Tensor], Tensor]
"""Pictures (B, H, W, 3) float in 0..1 -> CelebAMask-HQ ids (B, H, W)."""


@dataclass(frozen=True)
class Seen:
    """The checks of one pair. counts: (19,) pixels. order: of eyes, brows, ears: 1 right, -1 swapped, 0 no pair.

    problems: sentences. findings: problems of a readable mask. picture, mask: digests of the pixels.
    """

    problems: tuple[str, ...]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(NUM_CLASSES, dtype=np.int64))
    order: tuple[int, ...] = (0,) * len(PAIRS)
    findings: tuple[Finding, ...] = ()
    picture: bytes | None = None
    mask: bytes | None = None


@dataclass(frozen=True)
class Report:
    """errors: stop a training. warnings: should be looked at. facts: statistics, line by line.

    findings: problems of single masks.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]
    findings: tuple[tuple[Pair, Finding], ...] = ()

    def lines(self) -> list[str]:
        def some(kind: str, sentences: Sequence[str]) -> list[str]:
            more = [f"{kind}: ... and {len(sentences) - SHOWN} more."] if len(sentences) > SHOWN else []
            return [f"{kind}: {sentence}" for sentence in sentences[:SHOWN]] + more

        verdict = "The data set can be trained on." if not self.errors else "The data set cannot be trained on."
        return [*self.facts, *some("warning", self.warnings), *some("error", self.errors), verdict]


def check(
    listing: Listing, label_space: str = "celebamask", held_out: Iterable[str] = (), parse: Parse | None = None
) -> Report:
    """Read every file of a data set and report on it.

    Args:
        listing: of all its splits. held_out: names that validation keeps from training. parse: a parser; its
            disagreement with a mask is a finding.
    """
    logger = logging.getLogger("mogle_core.masks")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it would warn about each file, and the report covers all
    try:
        seen = _look(listing.pairs, label_space, parse)
    finally:
        logger.setLevel(before)
    kept_out = set(held_out)
    splits = {pair.name: "held out" if pair.name in kept_out else pair.split for pair in listing.pairs}
    errors = [*listing.problems, *(problem for one in seen for problem in one.problems)]
    leaks, doubles = _duplicates(listing.pairs, seen, splits)
    order, mirrored = _order(seen)
    findings = _findings(listing.pairs, seen)
    warnings = [*mirrored, *leaks, *doubles, *_of_masks(findings), *_captions(listing.pairs)]
    facts = [_size(listing, splits), *_shares(seen), *order, *_minor(findings), _texts(listing.pairs)]
    return Report(tuple(errors), tuple(warnings), tuple(facts), tuple(findings))


def _look(pairs: Sequence[Pair], label_space: str, parse: Parse | None) -> list[Seen]:
    with ThreadPoolExecutor() as pool:
        looks = pool.map(lambda pair: look(pair, label_space), pairs)
        seen = list(tqdm(looks, total=len(pairs), desc="check", unit="pair", disable=None))
    if parse is None:
        return seen
    compared = tqdm(zip(pairs, seen, strict=True), total=len(pairs), desc="parse", unit="pair", disable=None)
    return [_compared(pair, one, label_space, parse) for pair, one in compared]


def _compared(pair: Pair, one: Seen, label_space: str, parse: Parse) -> Seen:
    """Add the parser's disagreement, if there is a picture of the mask's size."""
    if one.picture is None or one.mask is None:
        return one
    ids = read_mask(pair.mask, label_space).ids[0]
    picture = torch.from_numpy(np.array(open_picture(pair.face).resize((ids.shape[1], ids.shape[0]))))
    share = float((parse(picture[None].float() / 255)[0] == ids).float().mean())
    if share >= AGREEING:
        return one
    finding = Finding("parser", f"a parser sees the same class on {share:.0%} of its pixels only.")
    return replace(one, findings=(*one.findings, finding))


def look(pair: Pair, label_space: str) -> Seen:
    """Read one pair. An unreadable file is a problem, not an exception."""
    problems = []
    picture = label_map = None
    size = (0, 0)
    try:
        image = open_picture(pair.face)
        size, picture = image.size, hashlib.sha256(image.tobytes()).digest()
        problems += [f"{pair.face}: {sentence}" for sentence in _odd(np.asarray(image))]
    except DatasetError as error:
        problems.append(str(error))
    try:
        label_map = read_mask(pair.mask, label_space)
    except DatasetError as error:
        problems.append(str(error))
    if label_map is None:
        return Seen(tuple(problems), picture=picture)
    ids = label_map.ids[0]
    height, width = ids.shape
    if picture is not None and abs(size[0] * height / (size[1] * width) - 1) > SAME_ASPECT:
        problems.append(f"{pair.face} is {size[0]} x {size[1]}, its mask {width} x {height}: their shapes differ.")
    counts = torch.bincount(ids.flatten().long(), minlength=NUM_CLASSES)
    if int((counts > 0).sum()) == 1:
        problems.append(f"{pair.mask}: all of it is {CLASS_NAMES[int(counts.argmax())]}; this is not a mask of a face.")
    digest = hashlib.sha256(ids.numpy().tobytes()).digest()
    return Seen(tuple(problems), counts.numpy(), side_order(ids), findings_of(label_map), picture, digest)


def _odd(picture: NDArray[np.uint8]) -> list[str]:
    height, width = picture.shape[:2]
    found = []
    if min(height, width) < SMALLEST:
        found.append(f"the picture is only {width} x {height} pixels.")
    if int(picture.max()) - int(picture.min()) < 8:
        found.append("the picture is of a single colour.")
    return found


def _order(seen: Sequence[Seen]) -> tuple[list[str], list[str]]:
    """How often left and right are in order over the whole set, with a warning if they are not."""
    facts, warnings = [], []
    for (left, _), orders in zip(PAIRS, zip(*(one.order for one in seen), strict=True), strict=True):
        name = pair_name(left)
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
    """Pictures that are in two splits, and pictures or masks that occur twice."""
    leaks, doubles = [], []
    for kind in ("picture", "mask"):
        groups: dict[bytes, list[Pair]] = defaultdict(list)
        for pair, one in zip(pairs, seen, strict=True):
            if (digest := getattr(one, kind)) is not None:
                groups[digest].append(pair)
        for same in (group for group in groups.values() if len(group) > 1):
            names = ", ".join(pair.name for pair in same[:4])
            in_splits = sorted({splits[pair.name] for pair in same})
            if kind == "picture" and len(in_splits) > 1:
                leaks.append(f"the same picture is in {' and '.join(in_splits)}: {names}. Scores would flatter.")
            else:
                doubles.append(f"the same {kind} is there {len(same)} times: {names}.")
    return leaks, doubles


def _findings(pairs: Sequence[Pair], seen: Sequence[Seen]) -> list[tuple[Pair, Finding]]:
    """The findings of all masks, including rare classes, which only the whole set shows."""
    found = [(pair, finding) for pair, one in zip(pairs, seen, strict=True) for finding in one.findings]
    rare = rare_classes([one.counts for one in seen]) if seen else np.zeros(NUM_CLASSES, dtype=np.bool_)
    for pair, one in zip(pairs, seen, strict=True):
        names = [CLASS_NAMES[number] for number in np.flatnonzero(rare & (one.counts > 0))]
        if names:
            found.append((pair, Finding("rare_class", f"has {' and '.join(names)}, which few faces of the set have.")))
    return found


def _of_masks(findings: Sequence[tuple[Pair, Finding]]) -> list[str]:
    """Warnings about masks from which training would learn something wrong, picture by picture."""
    return [
        f"{pair.mask}: {finding.sentence}"
        for kind in ("doubtful", "swapped", "parser", "off_palette")
        for pair, finding in findings
        if finding.kind == kind
    ]


def _minor(findings: Sequence[tuple[Pair, Finding]]) -> list[str]:
    counts = Counter(finding.kind for _, finding in findings)
    facts = []
    if counts["single_pixels"]:
        facts.append(f"{counted(counts['single_pixels'], 'mask')} with regions of a single pixel")
    if counts["rare_class"]:
        facts.append(f"{counted(counts['rare_class'], 'mask')} with a class that under 1 % of the faces have")
    return facts


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
    """The share of each class in all pixels and in all faces."""
    counts = np.stack([one.counts for one in seen]) if seen else np.zeros((1, NUM_CLASSES), dtype=np.int64)
    pixels, faces = counts.sum(0) / max(1, int(counts.sum())), (counts > 0).mean(0)
    return [
        f"{name:<10} {pixel:7.2%} of the pixels, on {face:6.1%} of the faces"
        for name, pixel, face in zip(CLASS_NAMES, pixels, faces, strict=True)
    ]


def _texts(pairs: Sequence[Pair]) -> str:
    texts = [text for pair in pairs for text in pair.captions]
    if not texts:
        return "no captions"
    words = np.array([len(text.split()) for text in texts])
    return (
        f"{counted(len(texts), 'caption')}, {len(set(texts))} of them different, "
        f"{counted(round(words.mean()), 'word')} on average, {words.max()} at most"
    )
