"""`mogle prepare`: checks a data set and encodes what training will read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .cluster_options import add_cluster_options, cluster_of

if TYPE_CHECKING:
    from ..dataset.check import Parse
    from ..model.encoders import Encoders
    from ..training.config.sections import Model


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", help="a .toml file, the official .yaml, or a recipe: paper, 24gb, 16gb, static, toy")
    command.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change one value; may be given several times"
    )
    command.add_argument("--device", help="device for encoding (default: a GPU if there is one)")
    command.add_argument("--report", type=Path, metavar="DIR", help="with --check: a table and sheets of all findings")
    command.add_argument("--parser", metavar="FILE", help="with --check: a parser to compare the masks with")
    actions = command.add_mutually_exclusive_group()
    for action, summary in (
        ("check", "only check the data set"),
        ("plan", "only estimate the size of the cache and the time"),
        ("verify", "only compare the cache with its checksums"),
    ):
        actions.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=summary)
    actions.add_argument(
        "--repair",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="DIR",
        help="writes a copy with repaired masks beside the set (default: its folder's name and _repaired)",
    )
    command.set_defaults(action="fill")
    add_cluster_options(command)


def run(options: argparse.Namespace) -> Iterator[str]:
    """Check, plan, fill or verify; yield the report line by line."""
    from ..toy.registration import register_toy
    from ..training.config.reading import load_config
    from ..training.prepare import prepare

    register_toy()
    config = load_config(options.config, options.set)
    if (options.report or options.parser) and options.action != "check":
        raise ValueError("--report and --parser belong to --check: add it.")
    if options.repair is not None:
        yield from prepare(config, "repair", options.device, options.repair if options.repair.parts else None)
        return
    parse = _parser(options.parser)
    yield from prepare(
        config, options.action, options.device, options.report, parse, cluster_of(options), open_in_worker
    )


def open_in_worker(model: Model, device: str) -> Encoders:
    """The encoders in a process that knows nothing yet, not even the word "toy"."""
    from ..toy.registration import register_toy
    from ..training.data.samples import open_encoders_of

    register_toy()
    return open_encoders_of(model, device)


def _parser(name: str | None) -> Parse | None:
    if name is None:
        return None
    from ..evaluation.networks.extractors import load_extractor

    parser: Parse = load_extractor("parser", name).network
    return parser
