"""`mogle evaluate`: gathers, measures, and writes the report."""

from __future__ import annotations

from ..support.whole_files import write_png, write_whole
from .material import Settings, gather
from .measure import measure
from .networks.extractors import load_extractor
from .plots import contact_sheet, plot
from .result import Result, markdown, write_json

FALLING = ("structure",)
"""Scores of single pictures of which less is better."""


def evaluate(settings: Settings) -> Result:
    """Compute what can be computed, and write result.json, table.md and the plots into `out`.

    Raises:
        ValueError: nothing to compare, a network that cannot be loaded; with `strict` anything left over.
    """
    material = gather(settings)
    networks = {kind: load_extractor(kind, source, settings.device) for kind, source in settings.extractors.items()}
    result = measure(settings, material, networks)
    write_json(result, settings.out / "result.json")
    write_whole(settings.out / "table.md", markdown({settings.title: result}))
    plot(result, settings.out)
    for name, scores in result.per_picture.items():
        sheet = contact_sheet(scores, material.pictures, material.masks, falling=name in FALLING)
        write_png(sheet, settings.out / f"best_and_worst_{name}.png")
    return result
