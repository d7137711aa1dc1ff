"""`mogle prepare`: checks a data set and encodes what training will read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", help="a .toml file, the official .yaml, or a recipe: paper, 24gb, 16gb, toy")
    command.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change one value; may be given several times"
    )
    command.add_argument("--device", help="device for encoding (default: a GPU if there is one)")
    actions = command.add_mutually_exclusive_group()
    for action, summary in (
        ("check", "only check the data set"),
        ("plan", "only estimate the size of the cache and the time"),
        ("verify", "only compare the cache with its checksums"),
    ):
        actions.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=summary)
    command.set_defaults(action="fill")


def run(options: argparse.Namespace) -> Iterator[str]:
    """Check, plan, fill or verify; yields what was done, line by line."""
    from ..toy.registration import register_toy
    from ..training.config.reading import load_config
    from ..training.prepare import prepare

    register_toy()
    yield from prepare(load_config(options.config, options.set), options.action, options.device)
