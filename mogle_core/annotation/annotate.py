"""`mogle annotate`: makes a label map for each photo by one or two parsers, and measures how far the two agree.

The paper's MM-FFHQ-Female was made like this: a parser made the masks, and people repaired those below 0.8.
"""

from __future__ import annotations

import csv
import filecmp
import hashlib
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..dataset.errors import DatasetError
from ..dataset.reading import UNREADABLE
from ..evaluation.networks.extractors import load_extractor
from ..evaluation.pictures import list_pictures, read_picture
from ..evaluation.spread import SpreadNetwork, each_of
from ..masks.decouple import index_image
from ..masks.score import pixel_accuracy, score
from ..parse.parser import Parser
from ..support.progress import Progress
from ..support.whole_files import copy_whole, write_png, write_whole, written_aside
from .workflow import repair_workflow

logger = logging.getLogger(__name__)

THRESHOLD = 0.8
"""Overall accuracy below which the paper had a mask repaired."""


@dataclass(frozen=True)
class Agreement:
    """How far two parsers agree on one photo: the share of pixels of the same class, and the mean IoU."""

    name: str
    accuracy: float
    mean_iou: float


@dataclass(frozen=True)
class Annotated:
    """agreements: of all photos; empty with one parser. failed: names and reasons."""

    count: int
    agreements: Sequence[Agreement]
    failed: Sequence[tuple[str, str]]

    def doubtful(self, threshold: float = THRESHOLD) -> list[Agreement]:
        """The agreements below the threshold, the worst first."""
        below = [each for each in self.agreements if each.accuracy < threshold]
        return sorted(below, key=lambda each: (each.accuracy, each.name))


def annotate(
    photos: Path,
    out: Path,
    parsers: Sequence[Parser] | SpreadNetwork,
    threshold: float = THRESHOLD,
    comfyui: Path | None = None,
    strict: bool = False,
) -> Annotated:
    """Write `mask/NAME.png` by the first parser; with a second one also `agreement.csv` and `repair/NAME.json`.

    Args:
        parsers: one or two, or what runs `all_of` them in the workers of a cluster.
        comfyui: a ComfyUI into whose input/mogle_repair the doubtful photos are copied, where the workflows load them.
        strict: a photo that cannot be read ends the run.

    Raises:
        DatasetError: there are no photos; with `strict` also if one cannot be read.
    """
    agreements: list[Agreement] = []
    failed: list[tuple[str, str]] = []
    paths = list_pictures(photos)
    names: deque[str] = deque()
    parse = parsers if isinstance(parsers, SpreadNetwork) else partial(all_of, parsers)
    photos_of = longest_first(paths) if isinstance(parsers, SpreadNetwork) else paths
    for parses in each_of(parse, _photos(photos_of, names, failed, strict)):
        name = names.popleft()
        _write_mask(out / "mask" / f"{name}.png", parses[0])
        if len(parses) > 1:
            agreements.append(agreement(name, parses[0], parses[1]))
    places = {name: place for place, name in enumerate(paths)}
    agreements.sort(key=lambda each: places[each.name])
    failed.sort(key=lambda each: places[each[0]])
    result = Annotated(len(paths) - len(failed), agreements, failed)
    if agreements:
        _write_table(out / "agreement.csv", agreements)
        for each in result.doubtful(threshold):
            _write_repair(out, paths[each.name], each, comfyui)
    return result


def longest_first(paths: Mapping[str, Path]) -> dict[str, Path]:
    """The largest photos first, so that no worker begins one when the others have finished."""

    def pixels(path: Path) -> int:
        try:
            with Image.open(path) as picture:
                return int(picture.width * picture.height)
        except UNREADABLE:
            return 0

    return dict(sorted(paths.items(), key=lambda each: -pixels(each[1])))


def agreement(name: str, first: Tensor, second: Tensor) -> Agreement:
    """How far two label maps (H, W) agree."""
    compared = score(second[None], first[None])
    return Agreement(name, float(pixel_accuracy(second[None], first[None])), float(compared.mean_ious))


def all_of(parsers: Sequence[Parser], picture: Tensor) -> list[Tensor]:
    """The label map (H, W) of each parser for a picture (1, H, W, 3) in 0..1."""
    return [parser(picture)[0].to(torch.uint8) for parser in parsers]


def load_parsers(sources: Sequence[str], device: str) -> dict[str, Any]:
    """In a worker: all parsers as the one network `parsers`."""
    parsers = [load_extractor("parser", source, device).network for source in sources]
    return {"parsers": partial(all_of, parsers)}


def _photos(
    paths: Mapping[str, Path], names: deque[str], failed: list[tuple[str, str]], strict: bool
) -> Iterator[tuple[Tensor]]:
    """Photos that can be read, with their names in `names`; the others go into `failed`."""
    for name, path in Progress(paths.items(), desc="photos", unit="photo", disable=None):
        try:
            picture = read_picture(path)[None].float() / 255
        except DatasetError as error:
            if strict:
                raise
            logger.warning("%s It is left out.", error)
            failed.append((name, str(error)))
            continue
        names.append(name)
        yield (picture,)


def _write_mask(path: Path, ids: Tensor) -> None:
    write_png(index_image(ids), path)


def _write_table(path: Path, agreements: Sequence[Agreement]) -> None:
    with written_aside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("name", "accuracy", "mean_iou"))
        rows.writerows((each.name, f"{each.accuracy:.6f}", f"{each.mean_iou:.6f}") for each in agreements)


def _write_repair(out: Path, photo: Path, each: Agreement, comfyui: Path | None) -> None:
    """Write a workflow that opens the mask in the painter, over its photo."""
    file = out / "repair" / f"{each.name}.json"
    placed = f"mogle_repair/{photo.name}" if comfyui is None else _place(photo, comfyui / "input")
    mask = out / "mask" / f"{each.name}.png"
    write_whole(file, json.dumps(repair_workflow(placed, mask, each.accuracy), indent=1))


def _place(photo: Path, inputs: Path) -> str:
    """Copy the photo into ComfyUI's inputs, never over another file; its name there."""
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()[:8]
    for name in (photo.name, f"{photo.stem}-{digest}{photo.suffix}"):
        target = inputs / "mogle_repair" / name
        if not target.exists():
            copy_whole(photo, target)
        if filecmp.cmp(photo, target, shallow=False):
            return f"mogle_repair/{name}"
    raise DatasetError(
        f"{target} is another picture than {photo}: move it away, so that the photo can be copied there."
    )
