"""`mogle train`: trains network and LoRA on a data set."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..support.arguments import number
from ..support.sentences import counted
from .cluster_options import add_cluster_options, cluster_of

if TYPE_CHECKING:
    from ..training.sweep import Ended, Run


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "config",
        nargs="+",
        help="a .toml file, the official .yaml, or a recipe: paper, 24gb, 16gb, static, toy; several: several runs",
    )
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
    several = command.add_argument_group("several runs and one table")
    several.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE,VALUE",
        help="a run for each value, or for each combination of several; or: ablations, those of the paper",
    )
    several.add_argument("--seeds", type=number(1, 1000), default=1, help="seeds of each run (default: 1)")
    add_cluster_options(command)


def run(options: argparse.Namespace) -> Iterator[str]:
    """Train, or print the needs of a training.

    Raises:
        ValueError, OSError: the message says what is wrong.
    """
    from ..toy.registration import register_toy
    from ..training.config.reading import load_config

    if options.sweep or options.seeds > 1 or len(options.config) > 1:
        yield from _sweep(options)
        return
    if options.cluster is not None:
        raise ValueError("--cluster spreads several runs: give --sweep, --seeds or several configurations with it.")
    register_toy()
    sets = list(options.set)
    if options.resume is not None:
        sets.append(f"loop.resume={options.resume}")
    config = load_config(options.config[0], sets)
    if options.dry_run:
        from ..training.dryrun import report

        yield from report(config, int(os.environ.get("WORLD_SIZE", "1")))
        return
    from ..training.run import train

    result = train(config, options.overfit)
    if result is not None:
        yield str(result)


def _sweep(options: argparse.Namespace) -> Iterator[str]:
    from ..toy.registration import register_toy
    from ..training.sweep import planned, sweep, table, write_table

    if options.dry_run or options.overfit or options.resume is not None:
        raise ValueError("--sweep resumes by itself, and takes no --dry-run, --overfit or --resume: leave them out.")
    register_toy()
    runs = planned(options.config, options.set, options.sweep, options.seeds)
    cluster, ended, failed = cluster_of(options), [], 0
    for run, how in sweep(runs, load_here if cluster is None else load_there, cluster):
        ended.append((run, how))
        failed += bool(how.error)
        write_table(runs, table(ended, runs))
    yield table(ended, runs)
    if failed:
        raise ValueError(
            f"{counted(failed, 'run')} of {len(runs)} failed: {next(h.error for _, h in ended if h.error)}"
        )


def load_here(*sets: str) -> Callable[[Run], Ended]:
    """What trains a run, in this process."""
    from ..toy.registration import register_toy
    from ..training.run import train
    from ..training.sweep import trained

    register_toy()
    return lambda run: trained(train, run, *sets)


def load_there() -> Callable[[Run], Ended]:
    """What trains a run, in a worker, which loads the data itself: Ray's processes must not be forked."""
    return load_here("loop.workers=0")
