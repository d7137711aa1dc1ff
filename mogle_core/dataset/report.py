"""`mogle prepare --check --report DIR`: writes a table of all findings, and sheets of pictures with them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..masks.labels import PALETTE
from ..support import sheets
from ..support.whole_files import write_png, written_aside
from .errors import DatasetError
from .findings import Finding
from .pairs import Pair
from .reading import open_picture, read_mask

SHOWN = 40
"""The most pictures on a sheet; the table lists all."""

TITLES: Mapping[str, str] = {
    "swapped": "left and right are swapped",
    "doubtful": "classes do not lie as a face's do",
    "off_palette": "colours beside the palette",
    "single_pixels": "regions of a single pixel",
    "rare_class": "classes that few faces have",
    "parser": "a parser disagrees",
}

_SIDE = 192


def write_report(folder: Path, findings: Sequence[tuple[Pair, Finding]], label_space: str = "celebamask") -> list[Path]:
    """Write findings.csv and a sheet for each kind of finding; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "findings.csv"]
    with written_aside(written[0]) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("kind", "name", "mask", "finding"))
        table.writerows((finding.kind, pair.name, pair.mask, finding.sentence) for pair, finding in findings)
    by_kind: dict[str, list[tuple[Pair, Finding]]] = defaultdict(list)
    for pair, finding in findings:
        by_kind[finding.kind].append((pair, finding))
    for kind, listed in sorted(by_kind.items()):
        written.append(folder / f"{kind}.png")
        write_png(_sheet(kind, listed, label_space), written[-1])
    return written


def _sheet(kind: str, listed: Sequence[tuple[Pair, Finding]], label_space: str) -> Image.Image:
    shown = listed[:SHOWN]
    count = f"{len(listed)} masks" + (f", the first {len(shown)} of them below" if len(listed) > len(shown) else "")
    head = sheets.label(TITLES[kind], count, (4 * _SIDE, 64))
    rows = [
        sheets.beside(
            [
                sheets.framed(_photo(pair)),
                sheets.framed(_painted(pair, label_space)),
                sheets.label(pair.name, finding.sentence, (2 * _SIDE, _SIDE)),
            ]
        )
        for pair, finding in shown
    ]
    return sheets.stack([head, *rows])


def _photo(pair: Pair) -> Image.Image:
    try:
        return _square(open_picture(pair.face), Image.Resampling.BILINEAR)
    except DatasetError:
        return Image.new("RGB", (_SIDE, _SIDE), sheets.PAPER)


def _painted(pair: Pair, label_space: str) -> Image.Image:
    ids = read_mask(pair.mask, label_space).ids[0].numpy()
    return _square(Image.fromarray(np.array(PALETTE, np.uint8)[ids]), Image.Resampling.NEAREST)


def _square(image: Image.Image, how: Image.Resampling) -> Image.Image:
    scale = _SIDE / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    paper = Image.new("RGB", (_SIDE, _SIDE), sheets.PAPER)
    paper.paste(image.resize((size[0], size[1]), how), (0, 0))
    return paper
