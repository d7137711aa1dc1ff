"""Strands, folds and wrinkles are random, stay in their class, and show in the picture but not in the label map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mogle_core.masks.labels import IDS
from mogle_core.toy.drawer.creases import Creases, draw_creases
from mogle_core.toy.drawer.faces import draw_label_map, draw_portrait, paint

SEEDS = range(36, 44)


@pytest.mark.parametrize("seed", SEEDS)
def test_creases_change_the_picture_and_not_the_label_map(seed: int) -> None:
    portrait, _ = draw_portrait(seed)
    smooth = replace(portrait, creases=Creases())
    ids = draw_label_map(portrait)
    assert np.array_equal(ids, draw_label_map(smooth))
    plain, creased = (paint(each).astype(int) for each in (smooth, portrait))
    changed = np.abs(plain - creased).max(-1) > 20
    for name in ("hair", "cloth"):
        assert changed[ids == IDS[name]].mean() > 0.03, name
    # A pixel's class is that of its middle, so at an edge a neighbour's crease may show in it.
    away = np.isin(ids, [IDS[name] for name in ("background", "l_eye", "r_eye", "l_lip", "u_lip", "mouth")])
    assert changed[away].mean() < 0.01


def test_one_face_can_have_other_creases() -> None:
    portrait, _ = draw_portrait(SEEDS[0])
    one, same, other = (
        draw_creases(portrait.anatomy, portrait.face.hair_length, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for drawn, again in zip(one.hair + one.clothing + one.skin, same.hair + same.clothing + same.skin, strict=True):
        assert np.array_equal(drawn, again)
    assert not np.allclose(one.hair[0], other.hair[0], atol=1e-3)
    assert not np.allclose(one.clothing[0], other.clothing[0], atol=1e-3)


def test_some_faces_have_wrinkles_and_some_do_not() -> None:
    wrinkled = [bool(draw_portrait(seed)[0].creases.skin) for seed in range(60)]
    assert 0.5 < np.mean(wrinkled) < 0.95
