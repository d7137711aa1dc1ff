"""The `mogle` command: finds a sub-command in `commands/`, runs it, prints its lines."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .support.headless import headless

COMMANDS = {
    "demo": "faces from a drawn mask and a prompt, with the toy's weights",
    "convert": "checkpoints from one form to another",
    "doctor": "versions, devices, weights, and what is wrong with them",
    "toy": "the small world of drawn faces behind the demo",
    "prepare": "checks a data set and encodes what training will read; goes on",
    "train": "network and LoRA from a data set; resumes exactly",
    "generate": "pictures for many masks and prompts",
    "evaluate": "the paper's metrics of generated pictures",
    "annotate": "masks for photos, and which of them to repair",
}
"""Each is a module of `commands`: `add_options(parser)`, and `run(options)`, which yields the lines to print."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it went well, 1 with a sentence on stderr if it did not."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options = parser().parse_args(arguments)
    try:
        with headless():
            for line in import_module(f".commands.{options.command}", __package__).run(options):
                print(line)
    except (ValueError, OSError) as error:
        print(f"mogle: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="mogle", description="Face-MoGLE without ComfyUI.")
    root.add_argument("--version", action="version", version=f"face-mogle {__version__}")
    commands = root.add_subparsers(title="commands", required=True, dest="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        import_module(f".commands.{name}", __package__).add_options(command)
    return root


if __name__ == "__main__":
    sys.exit(main())
