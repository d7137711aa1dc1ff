"""The `mogle` command: reads the arguments, calls the core, prints."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from . import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it went well, 1 with a sentence on stderr if it did not."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"mogle: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="mogle", description="Face-MoGLE without ComfyUI.")
    root.add_argument("--version", action="version", version=f"face-mogle {__version__}")
    commands = root.add_subparsers(title="commands", required=True)
    _add_convert(commands)
    _add_doctor(commands)
    return root


def _add_convert(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .convert import Form

    command = commands.add_parser("convert", help="checkpoints from one form to another")
    command.add_argument("sources", nargs="+", type=Path, help="network, LoRA, or a combined file")
    command.add_argument("--to", choices=get_args(Form), required=True, dest="form")
    command.add_argument("--out", type=Path, required=True, help="the file (combined), else the folder to write")
    command.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> None:
    from .convert import convert

    for path in convert(options.sources, options.out, options.form):
        print(path)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("doctor", help="versions, devices, weights, and what is wrong with them")
    command.add_argument("paths", nargs="*", type=Path, help="checkpoints, folders, or a ComfyUI")
    command.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    from .doctor import report

    for line in report(options.paths):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
