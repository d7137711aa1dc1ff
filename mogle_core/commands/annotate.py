"""`mogle annotate`: makes masks for photos, and lists those to repair."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..support.arguments import real
from ..support.sentences import counted
from .cluster_options import add_cluster_options, cluster_of


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("photos", type=Path, help="folder of aligned portraits")
    command.add_argument("--parser", required=True, help="a face parser's file or folder, MODULE:NAME, or toy")
    command.add_argument("--second", help="another parser; masks on which the two disagree are listed for repair")
    command.add_argument("--out", type=Path, required=True, help="folder of masks, agreement.csv and repair/")
    command.add_argument(
        "--threshold",
        type=real(0, 1),
        default=0.8,
        help="agreement below which a mask is to be repaired (default: 0.8)",
    )
    command.add_argument(
        "--comfyui", type=Path, help="ComfyUI's folder; photos whose masks need repair are copied into its input"
    )
    command.add_argument("--strict", action="store_true", help="stop at the first photo that cannot be read")
    add_cluster_options(command)


def run(options: argparse.Namespace) -> Iterator[str]:
    """Annotate; yield the number of masks, then the masks to repair, the worst first."""
    from ..annotation.annotate import annotate, load_parsers
    from ..evaluation.networks.extractors import load_extractor
    from ..evaluation.spread import SpreadNetworks

    sources = [source for source in (options.parser, options.second) if source]
    cluster = cluster_of(options)
    spread = None if cluster is None else SpreadNetworks(cluster, partial(load_parsers, sources))
    parsers = [load_extractor("parser", source).network for source in sources] if spread is None else spread["parsers"]
    try:
        result = annotate(options.photos, options.out, parsers, options.threshold, options.comfyui, options.strict)
    finally:
        if spread is not None:
            spread.close()
    yield f"{counted(result.count, 'mask')} in {options.out / 'mask'}"
    yield from (f"{name}: {error}" for name, error in result.failed)
    for each in result.doubtful(options.threshold):
        yield f"{each.accuracy:.3f}  {options.out / 'repair' / each.name}.json"
    if result.failed:
        raise ValueError(f"{counted(len(result.failed), 'photo')} could not be read.")
