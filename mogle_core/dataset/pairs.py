"""Pictures, masks and captions of a data set, paired by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .captions import Captions, read_captions
from .errors import DatasetError
from .layouts import LAYOUTS, PICTURE_SUFFIXES, Layout, detect
from .listing import files_below, name_below
from .manifest import find_manifest, read_manifest

__all__ = ["DatasetError", "Listing", "Pair", "Split", "find_pairs", "list_pairs"]

Split = Literal["all", "train", "test"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One face: the file of its mask, its captions (possibly none), and its picture if there is one.

    name: the files' stem, unique in the set, with sub-folders. split: the name of its split.
    """

    name: str
    picture: Path | None
    mask: Path
    captions: tuple[str, ...]
    split: Split = "all"

    @property
    def face(self) -> Path:
        """The picture.

        Raises:
            DatasetError: it has none.
        """
        if self.picture is None:
            raise DatasetError(f"{self.name} has no picture, only the mask {self.mask}.")
        return self.picture


@dataclass(frozen=True)
class Listing:
    """The pairs of a data set, and a sentence for each file without a counterpart."""

    layout: Layout
    pairs: tuple[Pair, ...]
    problems: tuple[str, ...]


def find_pairs(
    root: Path,
    layout: Layout = "auto",
    images: Path | None = None,
    masks: Path | None = None,
    captions: Path | None = None,
    split: Split = "all",
    pictures: bool = True,
) -> list[Pair]:
    """The pairs of a data set in natural order of their names: 2 before 10.

    Args:
        root: the set's folder, or a manifest's .jsonl file.
        images: replaces the layout's place, as masks and captions do; relative paths start at root.
        split: for sets with splits (MM-CelebA-HQ, a manifest with `split`); other sets ignore it.
        pictures: False also takes masks without pictures, as generation does.

    Raises:
        DatasetError: there are no pairs, or files without counterparts; the message names some.
    """
    listing = list_pairs(root, layout, images, masks, captions, split, pictures)
    if listing.problems:
        shown, more = listing.problems[:5], len(listing.problems) - 5
        raise DatasetError("\n".join((*shown, *([f"... and {more} more like these."] if more > 0 else []))))
    return list(listing.pairs)


def list_pairs(
    root: Path,
    layout: Layout = "auto",
    images: Path | None = None,
    masks: Path | None = None,
    captions: Path | None = None,
    split: Split = "all",
    pictures: bool = True,
) -> Listing:
    """Like `find_pairs`, but returns the problems beside the complete pairs.

    Raises:
        DatasetError: nothing can be paired.
    """
    if not root.exists():
        raise DatasetError(f"There is no data set at {root}: set data.root to its folder, or to a manifest's file.")
    layout = detect(root) if layout == "auto" else layout
    if layout == "manifest":
        listing = _from_manifest(find_manifest(root), pictures)
    elif root.is_file():
        raise DatasetError(f"{root} is a file; layout {layout} expects a folder. Only a .jsonl manifest is a file.")
    else:
        listing = _from_folders(root, layout, images, masks, captions, pictures)
    kept = tuple(pair for pair in listing.pairs if split == "all" or pair.split in ("all", split))
    if not kept and not listing.problems:
        wanted = "" if split == "all" else f" for {split}"
        raise DatasetError(f"{root} holds no pairs of picture and mask{wanted} (layout {layout}).")
    return Listing(listing.layout, kept, listing.problems)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers in names by value."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _from_folders(
    root: Path, layout: Layout, images: Path | None, masks: Path | None, captions: Path | None, pictures: bool
) -> Listing:
    places = LAYOUTS[layout]
    mask_folder = _folder(root, masks, places.masks, "masks", layout)
    found_masks, doubled = _by_stem(mask_folder)
    found_pictures: Mapping[str, Path] = {}
    if pictures:
        found_pictures, more = _by_stem(_folder(root, images, places.images, "images", layout))
        doubled += more
    stored = read_captions(_captions_place(root, captions, places.captions))
    names = sorted(set(found_masks) & set(found_pictures) if pictures else set(found_masks), key=natural)
    pairs = tuple(
        Pair(name, found_pictures.get(name), found_masks[name], stored.of(name), _split(name, places.test_from))
        for name in names
    )
    return Listing(layout, pairs, (*doubled, *_alone(found_pictures, found_masks, pictures), *_unused(stored, names)))


def _alone(pictures: Mapping[str, Path], masks: Mapping[str, Path], wanted: bool) -> list[str]:
    if not wanted:
        return []
    without_mask = [f"{pictures[n]}: there is no mask named {n}." for n in pictures if n not in masks]
    return without_mask + [f"{masks[n]}: there is no picture named {n}." for n in masks if n not in pictures]


def _unused(stored: Captions, names: Sequence[str]) -> list[str]:
    """Report captions without a picture, which suggest wrong names, unless most names match."""
    if stored.texts and not any(stored.of(name) for name in names) and names:
        return [f"{stored.place}: none of its captions belongs to a picture, such as {names[0]}; names are the files'."]
    return []


def _folder(root: Path, given: Path | None, names: tuple[str, ...], kind: str, layout: Layout) -> Path:
    candidates = [root / given] if given is not None else [root / name for name in names]
    for folder in candidates:
        if folder.is_dir():
            return folder
    expected = " or ".join(str(folder) for folder in candidates[:3])
    raise DatasetError(f"There is no folder {expected} with the {kind} of layout {layout}: set data.{kind}.")


def _captions_place(root: Path, given: Path | None, names: tuple[str, ...]) -> Path | None:
    if given is not None:
        if not (root / given).exists():
            raise DatasetError(f"There are no captions at {root / given}: change data.captions.")
        return root / given
    return next((root / name for name in names if (root / name).exists()), None)


def _by_stem(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Picture files by their path without suffix, and a sentence for each name that two files have."""
    by_name: dict[str, Path] = {}
    doubled = []
    for path in files_below(folder, PICTURE_SUFFIXES):
        name = name_below(path, folder)
        if name in by_name:
            doubled.append(f"{path}: {by_name[name].name} has the same name; keep one of them.")
        by_name.setdefault(name, path)
    return by_name, doubled


def _split(name: str, test_from: int | None) -> Split:
    if test_from is None or not name.isdecimal():
        return "all"
    return "test" if int(name) >= test_from else "train"


def _from_manifest(path: Path, pictures: bool) -> Listing:
    entries, problems = read_manifest(path, pictures)
    pairs = tuple(Pair(e.name, e.picture, e.mask, e.captions, e.split) for e in entries)
    return Listing("manifest", pairs, problems)
