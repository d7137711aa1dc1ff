"""Finds the caption of each picture by name, in any supported file or folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..dataset.captions import read_captions
from ..dataset.errors import DatasetError
from ..dataset.tables import rows
from .pictures import subject
from .score_files import picture_name

CaptionOf = Callable[[str], str | None]
"""A picture's name -> its caption, or None without one."""


def captions_from(places: tuple[Path, ...]) -> CaptionOf:
    """The first caption of each name, as in the published figures. One of many seeds has its subject's caption.

    places: a folder of `NAME.txt`, a .json of names with captions (MM-CelebA-HQ's text.json), or a .jsonl or .csv
    with `name` and `prompt`, such as the manifests of `mogle generate`.

    Raises DatasetError for anything else.
    """
    sources = [_source(place) for place in places]

    def caption_of(name: str) -> str | None:
        captions = (source(each) for source in sources for each in dict.fromkeys((name, subject(name))))
        return next((caption for caption in captions if caption is not None), None)

    return caption_of


def _source(place: Path) -> CaptionOf:
    if place.suffix.lower() in (".jsonl", ".csv", ".tsv"):
        prompts = {
            picture_name(str(row["name"])): str(row["prompt"])
            for _, row in rows(place)
            if row.get("name") and row.get("prompt")
        }
        if not prompts:
            raise DatasetError(f"{place}: no row has a name and a prompt; expected a table with these two columns.")
        return prompts.get
    if not place.is_dir() and place.suffix.lower() != ".json":
        raise DatasetError(f"{place}: captions are read from a folder of .txt, or from a .json, .jsonl or .csv.")
    stored = read_captions(place)
    return lambda name: next(iter(stored.of(name)), None)
