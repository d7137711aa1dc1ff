"""The distance from a sketch's lines to a picture's edges: closed forms, and a drawn face against its own sketch."""

from __future__ import annotations

import math

import pytest
import torch

from mogle_core.evaluation.metrics.lines import line_distance
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.drawer.sketching import OUTLINES, exact_lines


def halves(edge: int) -> torch.Tensor:
    """A picture (64, 64, 3) that is black on the left and white from column `edge` on."""
    picture = torch.zeros(64, 64, 3, dtype=torch.uint8)
    picture[:, edge:] = 255
    return picture


def line(column: int) -> torch.Tensor:
    sketch = torch.zeros(64, 64)
    sketch[:, column] = 1
    return sketch


@pytest.mark.parametrize("away", [0, 3, 10])
def test_a_line_beside_an_edge(away: int) -> None:
    assert line_distance(line(32 + away), halves(32)) == pytest.approx(away, abs=1)


def test_faint_lines_count_as_much_as_bright_ones() -> None:
    assert line_distance(0.3 * line(40), halves(32)) == line_distance(line(40), halves(32))


def test_no_lines_and_no_edges() -> None:
    assert math.isnan(line_distance(torch.zeros(64, 64), halves(32)))
    assert line_distance(line(5), torch.zeros(64, 64, 3, dtype=torch.uint8)) == pytest.approx(64 * 2**0.5)


def test_a_face_is_nearer_to_its_own_sketch_than_to_anothers() -> None:
    pictures = [torch.from_numpy(draw_face(seed).picture) for seed in (36, 39)]
    sketches = [torch.from_numpy(exact_lines(seed)[OUTLINES]) for seed in (36, 39)]
    own = [line_distance(*pair) for pair in zip(sketches, pictures, strict=True)]
    other = [line_distance(*pair) for pair in zip(sketches, reversed(pictures), strict=True)]
    assert max(own) < 1.5 and sum(other) > 1.5 * sum(own)
