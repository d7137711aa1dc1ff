"""`mogle toy`: installs its models into ComfyUI, draws faces to train on, or makes its weights again."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..support.arguments import MOST, number, real


def add_options(toy: argparse.ArgumentParser) -> None:
    actions = toy.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="toy_command")
    command = actions.add_parser("install", help="copies its models, an example mask and a photo into a ComfyUI")
    command.add_argument(
        "--weights", type=Path, help="a folder that `mogle toy build` made (default: the embedded weights)"
    )
    command.add_argument(
        "comfyui", type=Path, help="ComfyUI's folder, or its base directory: the folder that contains models"
    )
    command.add_argument("--link", action="store_true", help="link FLUX, VAE and parser instead of copying them")
    command.add_argument("--force", action="store_true", help="replace other files of the same names")
    command.set_defaults(action=_install)
    command = actions.add_parser("faces", help="draws a data set of pictures, masks and captions to train on")
    command.add_argument("out", type=Path, help="the folder to write")
    command.add_argument("--count", type=number(1, 10_000_000), default=64, help="number of faces (default: 64)")
    command.add_argument("--size", type=number(16, 2048), default=128, help="pixels a side (default: 128)")
    command.add_argument("--seed", type=number(0, MOST), default=0, help="of the first face (default: 0)")
    command.add_argument("--sketches", action="store_true", help="also draw a sketch of each face")
    command.add_argument("--landmarks", action="store_true", help="also draw the landmarks of each face")
    command.set_defaults(action=_faces)
    command = actions.add_parser("build", help="makes its weights again: draws faces and trains for hours")
    command.add_argument("--out", type=Path, help="folder for the weights (default: WORK/weights)")
    command.add_argument(
        "--work",
        type=Path,
        default=Path("toy_build"),
        help="folder from which a stopped build resumes (default: ./toy_build)",
    )
    command.add_argument("--seed", type=number(0, MOST), default=0, help="(default: 0)")
    command.add_argument("--device", help="(default: a GPU if there is one)")
    command.add_argument("--stages", nargs="+", help="the stages to run, in this order (default: all)")
    command.add_argument(
        "--budget", type=real(1e-4, 1e4), default=1.0, help="factor on all numbers of steps and faces (default: 1)"
    )
    command.add_argument("--compile", action="store_true", help="use torch.compile: nearly twice as fast on a CPU")
    command.set_defaults(action=_build)


def run(options: argparse.Namespace) -> Iterator[str]:
    """Run the chosen action; yield the new files."""
    lines: Iterator[str] = options.action(options)
    return lines


def _install(options: argparse.Namespace) -> Iterator[str]:
    from ..toy.install import install
    from ..toy.places import WEIGHTS

    yield from map(str, install(options.comfyui, options.weights or WEIGHTS, options.link, options.force))


def _faces(options: argparse.Namespace) -> Iterator[str]:
    from ..toy.drawer.folder import write_folder

    write_folder(options.out, options.count, options.size, options.seed, options.sketches, options.landmarks)
    yield str(options.out)


def _build(options: argparse.Namespace) -> Iterator[str]:
    from ..toy.build import STAGES, build

    out = options.out or options.work / "weights"
    stages = options.stages or tuple(STAGES)
    build(out, options.work, options.seed, options.device, stages, options.budget, options.compile)
    yield str(out)
