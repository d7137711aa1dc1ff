"""Measures the embedded toy world: how faces follow masks and words, class by class, and whether edits stay local.

    python tests/bench/toy.py [--faces 200] [--weights DIR] [--regions] [--speed] [--noises 3] [--only]
    python tests/bench/toy.py --sketch FILE --only

Prints Markdown tables. docs/toy_world.md has them for 200 faces, docs/speed.md for the speed options. It takes about
1 s per face on one CPU core, and 7 s with a sketch.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from mogle_core.evaluation.metrics.lines import line_distance
from mogle_core.toy.bench import (
    hair_controls,
    local_change,
    region_colour,
    region_control,
    score_classes,
    score_pictures,
    speed_prices,
)
from mogle_core.toy.build.scores import pictures_of
from mogle_core.toy.drawer.faceset import HELD_OUT, FaceSet, draw_faces
from mogle_core.toy.places import WEIGHTS
from mogle_core.toy.sketch_scores import sketch_rows, sketched
from mogle_core.toy.world import World, load_world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=200, help="how many held-out faces (default: 200)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="another world's folder")
    parser.add_argument("--regions", action="store_true", help="Region Control and Region Prompt, too")
    parser.add_argument("--speed", action="store_true", help="the price of the speed options, too")
    parser.add_argument("--noises", type=int, default=1, help="with --speed: noises for each face (default: 1)")
    parser.add_argument("--only", action="store_true", help="without the tables of faces and classes")
    parser.add_argument("--sketch", type=Path, metavar="FILE", help="network and LoRA with an expert for sketches")
    options = parser.parse_args()
    world = load_world(options.weights)
    held = draw_faces(range(HELD_OUT, HELD_OUT + options.faces), workers=os.cpu_count() or 1)
    if not options.only:
        faces(world, held)
    if options.regions:
        regions(world, held)
    if options.speed:
        speed(world, held, options.noises)
    if options.sketch:
        sketch(world, load_world(options.weights, mogle=options.sketch), held)


def sketch(before: World, world: World, held: FaceSet) -> None:
    """Prints scores and distances in pixels, each row as soon as it is measured."""
    given = sketched(held, range(HELD_OUT, HELD_OUT + len(held)))
    for number, (name, row) in enumerate(sketch_rows(before, world, given, line_distance)):
        if number == 0:
            print(f"| what | {' | '.join(row)} |\n|{'---|' * (len(row) + 1)}")
        print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in row.values())} |", flush=True)


def faces(world: World, held: FaceSet) -> None:
    pictures = pictures_of(world, held)
    scores = [(name, score_pictures(world, made, held)) for name, made in pictures.items()]
    table(["what", "mask score", "hair right", "Fréchet"], ((name, *score.values()) for name, score in scores))
    classes = {name: score_classes(world, made, held) for name, made in pictures.items()}
    table(["class", *classes], ((name, *(each[name] for each in classes.values())) for name in classes["drawn"]))
    print(f"repainted: {local_change(world, held.first(50)):.1f} times the change of the rest")


def speed(world: World, held: FaceSet, noises: int) -> None:
    """A row as soon as it is measured: all of them take an hour on one core."""
    print("| setting | computed | mask score | hair right | Fréchet | colour |\n|---|---|---|---|---|---|")
    for name, row in speed_prices(world, held, noises=noises):
        print(f"| {name} | {' | '.join(f'{figure:.4f}' for figure in row.values())} |", flush=True)


def regions(world: World, held: FaceSet) -> None:
    rows = region_control(world, held.first(50), hair_controls())
    table(list(rows[0]), (row.values() for row in rows))
    found = [
        (name, region_colour(world, held.first(100), prompt))
        for name, prompt in (("the caption, told of the colour", None), ("two words", "{} hair"))
    ]
    table(["asked by", *found[0][1]], ((name, *row.values()) for name, row in found))


def table(head: list[str], rows: Iterable[Iterable[str | float]]) -> None:
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(cell if isinstance(cell, str) else f'{cell:.3f}' for cell in row)} |")
    print()


if __name__ == "__main__":
    main()
