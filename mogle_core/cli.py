"""The `mogle` command: reads the arguments, calls the core, prints."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import get_args

from . import __version__

_PACKAGES = {
    "train": ("training", "network and LoRA from a data set; resumes exactly"),
    "generate": ("generation", "pictures for many masks and prompts"),
    "evaluate": ("evaluation", "the paper's metrics of generated pictures"),
    "annotate": ("annotation", "masks for photos, and which of them to repair"),
}
"""Commands whose options and work are in `PACKAGE/command.py`."""


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
    _add_demo(commands)
    _add_convert(commands)
    _add_doctor(commands)
    _add_toy(commands)
    _add_prepare(commands)
    for name, (package, told) in _PACKAGES.items():
        _add_package(commands, name, package, told)
    return root


@contextmanager
def _headless() -> Iterator[None]:
    """A sentence for a package that only the extra `headless` brings, such as OpenCV."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mogle_core"):
            raise
        raise ValueError(
            f"This command needs the package {error.name}, which is not installed. In the folder of this "
            'repository: pip install -e ".[headless]"'
        ) from error


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("demo", help="faces from a drawn mask and a prompt, with the toy's weights")
    _add_weights(command)
    command.add_argument("--size", type=int, default=128, help="pixels a side, a multiple of 16 (default: 128)")
    command.add_argument("--seed", type=int, default=0, help="of the drawn face and of the noise (default: 0)")
    command.add_argument("--prompt", help="what the face looks like (default: the drawn face's own caption)")
    command.add_argument("--mask", type=Path, help="a stored label map instead of a drawn one")
    command.add_argument("--steps", type=int, default=20, help="sampling steps (default: 20)")
    command.add_argument("--out", type=Path, default=Path("mogle_demo"), help="folder (default: ./mogle_demo)")
    command.set_defaults(run=_demo)


def _add_weights(command: argparse.ArgumentParser) -> None:
    command.add_argument("--weights", type=Path, help="a folder as `mogle toy build` leaves it (default: the embedded)")


def _demo(options: argparse.Namespace) -> None:
    with _headless():
        from .toy.demo import Settings, demo
        from .toy.world import WEIGHTS
    names = ("out", "size", "seed", "prompt", "mask", "steps")
    for line in demo(Settings(**{name: getattr(options, name) for name in names}), options.weights or WEIGHTS):
        print(line)


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


def _add_toy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    toy = commands.add_parser("toy", help="the small world of drawn faces behind the demo")
    actions = toy.add_subparsers(title="commands", required=True)
    command = actions.add_parser("install", help="its models where ComfyUI's loaders look, an example mask and photo")
    _add_weights(command)
    command.add_argument("comfyui", type=Path, help="ComfyUI's folder, or its base directory: what holds models")
    command.add_argument("--link", action="store_true", help="symbolic links instead of copies")
    command.add_argument("--force", action="store_true", help="replace other files of the same names")
    command.set_defaults(run=_toy_install)
    command = actions.add_parser("faces", help="draws a data set of pictures, masks and captions to train on")
    command.add_argument("out", type=Path, help="the folder")
    command.add_argument("--count", type=int, default=64, help="of faces (default: 64)")
    command.add_argument("--size", type=int, default=128, help="pixels a side (default: 128)")
    command.add_argument("--seed", type=int, default=0, help="of the first face (default: 0)")
    command.set_defaults(run=_toy_faces)
    command = actions.add_parser("build", help="makes its weights again: draws faces and trains for hours")
    command.add_argument("--out", type=Path, help="folder for the weights (default: WORK/weights)")
    command.add_argument("--work", type=Path, default=Path("toy_build"), help="what a stopped build goes on from")
    command.add_argument("--seed", type=int, default=0, help="(default: 0)")
    command.add_argument("--device", help="(default: a GPU if there is one)")
    command.add_argument("--stages", nargs="+", help="some of them, in this order (default: all)")
    command.add_argument("--budget", type=float, default=1.0, help="a factor on all numbers of steps and faces")
    command.add_argument("--compile", action="store_true", help="by torch.compile: nearly twice as fast on a CPU")
    command.set_defaults(run=_toy_build)


def _add_prepare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("prepare", help="checks a data set and encodes what training will read; goes on")
    command.add_argument("config", help="a .toml file, the official .yaml, or a recipe: paper, 24gb, 16gb, toy")
    command.add_argument("--set", action="append", default=[], metavar="a.b=c", help="changes a key; repeatable")
    command.add_argument("--device", help="that encodes (default: a GPU if there is one)")
    actions = command.add_mutually_exclusive_group()
    for action, told in (
        ("check", "only reads the data set and says what is wrong with it"),
        ("plan", "only says what the cache will hold, its bytes and the time"),
        ("verify", "only reads the cache against its checksums"),
    ):
        actions.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=told)
    command.set_defaults(run=_prepare, action="fill")


def _prepare(options: argparse.Namespace) -> None:
    with _headless():
        from .training.config import load_config
        from .training.prepare import prepare

        for line in prepare(load_config(options.config, options.set), options.action, options.device):
            print(line)


def _toy_install(options: argparse.Namespace) -> None:
    from .toy.install import install
    from .toy.world import WEIGHTS

    for path in install(options.comfyui, options.weights or WEIGHTS, options.link, options.force):
        print(path)


def _toy_faces(options: argparse.Namespace) -> None:
    with _headless():
        from .toy.folder import write_folder
    write_folder(options.out, options.count, options.size, options.seed)
    print(options.out)


def _toy_build(options: argparse.Namespace) -> None:
    with _headless():
        from .toy.build import STAGES, build
    out = options.out or options.work / "weights"
    stages = options.stages or tuple(STAGES)
    build(out, options.work, options.seed, options.device, stages, options.budget, options.compile)
    print(out)


def _add_package(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, package: str, told: str
) -> None:
    module = import_module(f".{package}.command", __package__)

    def run(options: argparse.Namespace) -> None:
        with _headless():
            for line in module.run(options):
                print(line)

    command = commands.add_parser(name, help=told)
    module.add_options(command)
    command.set_defaults(run=run)


if __name__ == "__main__":
    sys.exit(main())
