"""The options of every command that can spread its work over a Ray cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..support.arguments import number, real

if TYPE_CHECKING:
    from ..support.cluster import Cluster


def add_cluster_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("a cluster (Ray; the extra `cluster`)")
    group.add_argument(
        "--cluster",
        nargs="?",
        const="here",
        metavar="ADDRESS",
        help="spread the work over this machine's cores and GPUs, or over a running cluster: auto, or HOST:PORT",
    )
    group.add_argument(
        "--workers", type=number(1, 100_000), help="processes (default: one a GPU, or for each share of the cores)"
    )
    group.add_argument(
        "--gpus-per-worker", type=real(0, 64), metavar="F", help="GPUs of a worker, such as 0.5 (default: 1 if any)"
    )


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """The cluster that the options ask for, or None. Raises ValueError for options that need --cluster."""
    if options.cluster is None:
        for name in ("workers", "gpus_per_worker"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} needs --cluster.")
        return None
    import torch

    from ..support.cluster import Cluster

    gpus = options.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if torch.cuda.is_available() else 0.0
    return Cluster(options.cluster, options.workers or 0, gpus)
