"""Drawn sketches follow the face's edges, are the same each time, and show what the label map does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mogle_core.masks.labels import IDS
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.drawer.sketching import DETAILS, OUTLINES, STYLES, draw_sketch, exact_lines

SEED = 36


def distance_to_outlines(ids: np.ndarray) -> np.ndarray:
    edges = np.zeros(ids.shape, np.uint8)
    edges[:-1] |= ids[:-1] != ids[1:]
    edges[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    return cv2.distanceTransform(1 - edges, cv2.DIST_L2, 5)


@pytest.mark.parametrize("style", range(STYLES))
def test_a_sketch_is_loose_and_repeatable(style: int) -> None:
    first = draw_sketch(SEED, style=style)
    assert first.shape == (128, 128) and first.dtype == np.uint8
    assert np.array_equal(first, draw_sketch(SEED, style=style))
    others = [draw_sketch(SEED, style=other) for other in range(STYLES) if other != style]
    assert not any(np.array_equal(first, other) for other in others)
    away = distance_to_outlines(draw_face(SEED).ids)[first > 100]
    ids = draw_face(SEED).ids[first > 100]
    # Away from the label map's edges there are only details, in hair, clothing, ears, eyes and on the skin.
    inner = [IDS[name] for name in ("hair", "cloth", "l_ear", "r_ear", "l_eye", "r_eye", "skin")]
    assert np.median(away) < 2
    assert np.isin(ids[away > 4], inner).all()


def test_both_pens_are_used() -> None:
    brightest = [int(draw_sketch(seed, style=style).max()) for seed in range(3) for style in range(STYLES)]
    assert max(brightest) == 255 and min(brightest) < 240


def test_exact_lines_split_into_what_the_map_shows_and_what_it_does_not() -> None:
    lines = exact_lines(SEED)
    outlines, details = lines[OUTLINES], np.maximum.reduce([lines[name] for name in DETAILS])
    away = distance_to_outlines(draw_face(SEED).ids)
    assert away[outlines > 128].max() < 4
    hair = draw_face(SEED).ids == IDS["hair"]
    assert (details[hair & (away > 3)] > 128).sum() > 50
    assert not ((outlines > 128) & (details > 0)).any()


def test_one_face_at_two_sizes() -> None:
    small, large = (exact_lines(SEED, size)[OUTLINES] for size in (64, 128))
    shrunk = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - shrunk).mean() < 15
