"""`mogle evaluate`: pairs the files, computes the metrics, and writes the report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..support.cluster import Cluster
from ..support.whole_files import write_png, write_whole
from .material import Settings, gather
from .measure import measure
from .networks.extractors import load_extractor, load_networks, spread_extractor
from .plots import contact_sheet, plot
from .result import Result, markdown, write_json
from .spread import SpreadNetworks

FALLING = ("structure",)
"""Scores of single pictures for which a lower value is better."""


def evaluate(settings: Settings, cluster: Cluster | None = None) -> Result:
    """Compute every metric that the settings allow, and write result.json, table.md and the plots into `out`.

    cluster: whose workers run the networks; None runs them in this process.

    Raises:
        ValueError: nothing to compare, or a network that cannot be loaded; with `strict` also a file without a partner.
    """
    material = gather(settings)
    sources = settings.extractors
    if cluster is None:
        networks = {kind: load_extractor(kind, source, settings.device) for kind, source in sources.items()}
        result = measure(settings, material, networks)
    else:
        spread = SpreadNetworks(cluster, partial(load_networks, sources))
        networks = {kind: spread_extractor(kind, source, spread[kind]) for kind, source in sources.items()}
        try:
            result = measure(replace(settings, device="cpu"), material, networks)
        finally:
            spread.close()
    write_json(result, settings.out / "result.json")
    write_whole(settings.out / "table.md", markdown({settings.title: result}))
    plot(result, settings.out)
    for name, scores in result.per_picture.items():
        falling = name in FALLING
        sheet = contact_sheet(scores, material.pictures, material.masks, falling, settings.label_space)
        write_png(sheet, settings.out / f"best_and_worst_{name}.png")
    return result
