"""`mogle demo`: makes faces from a drawn mask and a prompt, with the toy's weights."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..support.arguments import MOST, number


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weights", type=Path, help="a folder that `mogle toy build` made (default: the embedded weights)"
    )
    command.add_argument(
        "--size", type=number(16, 2048), default=128, help="pixels a side, a multiple of 16 (default: 128)"
    )
    command.add_argument(
        "--seed", type=number(0, MOST), default=0, help="of the drawn face and of the noise (default: 0)"
    )
    command.add_argument("--prompt", help="what the face looks like (default: the caption of the drawn face)")
    command.add_argument("--mask", type=Path, help="a stored label map instead of a drawn one")
    command.add_argument(
        "--sketch",
        nargs="?",
        const=True,
        metavar="FILE",
        help="also follow a sketch: this drawing, or without FILE the drawn face's own",
    )
    command.add_argument("--steps", type=number(1, 10_000), default=20, help="sampling steps (default: 20)")
    command.add_argument("--out", type=Path, default=Path("mogle_demo"), help="folder (default: ./mogle_demo)")


def run(options: argparse.Namespace) -> Iterator[str]:
    """Draw, paint and repaint; yield the new files, and how well the pictures follow the masks."""
    from ..toy.demo import Settings, demo
    from ..toy.demo_sketch import DRAWN
    from ..toy.places import WEIGHTS

    names = ("out", "size", "seed", "prompt", "mask", "steps")
    sketch = DRAWN if options.sketch is True else options.sketch and Path(options.sketch)
    settings = Settings(**{name: getattr(options, name) for name in names}, sketch=sketch)
    yield from demo(settings, options.weights or WEIGHTS)
