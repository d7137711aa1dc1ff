"""`mogle convert`: converts checkpoints between formats."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

FORMS = ("combined", "official", "safetensors")


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("sources", nargs="+", type=Path, help="network, LoRA, or a combined file")
    command.add_argument("--to", choices=FORMS, required=True, dest="form")
    command.add_argument("--out", type=Path, required=True, help="the file (combined), else the folder to write")


def run(options: argparse.Namespace) -> Iterator[str]:
    """Convert; yield each new file."""
    from ..model.checkpoints.convert import convert

    yield from map(str, convert(options.sources, options.out, options.form))
