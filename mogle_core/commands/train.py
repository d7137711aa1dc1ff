"""`mogle train`: trains network and LoRA on a data set."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from ..support.arguments import number


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", help="a .toml file, the official .yaml, or a recipe: paper, 24gb, 16gb, static, toy")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one value; may be given several times",
    )
    command.add_argument("--resume", metavar="WHERE", help="auto (the newest checkpoint, if any), never, or a path")
    command.add_argument("--overfit", type=number(0), default=0, metavar="N", help="learn N pairs by heart, as a test")
    command.add_argument(
        "--dry-run", action="store_true", help="print shapes and memory needs without loading anything"
    )


def run(options: argparse.Namespace) -> Iterator[str]:
    """Train, or print the needs of a training.

    Raises:
        ValueError, OSError: the message says what is wrong.
    """
    from ..toy.registration import register_toy
    from ..training.config.reading import load_config

    register_toy()
    sets = list(options.set)
    if options.resume is not None:
        sets.append(f"loop.resume={options.resume}")
    config = load_config(options.config, sets)
    if options.dry_run:
        from ..training.dryrun import report

        yield from report(config, int(os.environ.get("WORLD_SIZE", "1")))
        return
    from ..training.run import train

    result = train(config, options.overfit)
    if result is not None:
        yield str(result)
