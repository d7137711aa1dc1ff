"""Where each data set keeps its pictures, masks and captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .listing import is_hidden

Layout = Literal["auto", "folders", "manifest", "mm-celeba", "mm-ffhq-female", "mm-fairface"]

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

MANIFESTS = ("manifest.jsonl", "metadata.jsonl")


@dataclass(frozen=True)
class Places:
    """Possible names of a layout's folders and caption file in the root; the first one that exists is used.

    test_from: number of the first test picture; None if the set has no such split.
    """

    images: tuple[str, ...] = ("face",)
    masks: tuple[str, ...] = ("mask",)
    captions: tuple[str, ...] = ("text.json", "text")
    test_from: int | None = None


LAYOUTS: Mapping[str, Places] = {
    # face/0.jpg, mask/0.png, text.json = {"0.jpg": [ten captions]}; the last 3,000 of 30,000 are for tests.
    "mm-celeba": Places(test_from=27_000),
    # face/00001.jpg, mask/00001.png, text.json with nine captions each.
    "mm-ffhq-female": Places(),
    # face/52.jpg, mask/52.png, text/52.txt.
    "mm-fairface": Places(captions=("text",)),
    "folders": Places(
        images=("images", "image", "pictures", "faces", "face", "CelebA-HQ-img"),
        masks=("masks", "mask", "labels"),
        captions=("captions.json", "text.json", "captions", "texts", "text"),
    ),
}


def detect(root: Path) -> Layout:
    """The layout of a folder or of a manifest's file, from its contents."""
    if root.is_file() or any((root / name).is_file() for name in MANIFESTS):
        return "manifest"
    if not ((root / "face").is_dir() and (root / "mask").is_dir()):
        return "folders"
    if not (root / "text.json").is_file():
        return "mm-fairface" if (root / "text").is_dir() else "folders"
    first = next(
        (
            path.stem
            for path in (root / "face").iterdir()
            if path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path.name)
        ),
        "",
    )
    if not first.isdecimal():
        return "folders"
    return "mm-ffhq-female" if len(first) == 5 and first.startswith("0") else "mm-celeba"
