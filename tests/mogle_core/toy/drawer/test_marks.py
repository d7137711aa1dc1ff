"""Drawn landmarks lie where the label map of the same face has its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mogle_core.model.conditions.landmarks import from_label_map, is_drawn
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.drawer.marks import draw_landmarks, landmarks_of


@pytest.mark.parametrize("seed", [12, 36])
def test_they_agree_with_the_label_maps_geometry(seed: int) -> None:
    exact, read = landmarks_of(seed), from_label_map(draw_face(seed, 256).ids)
    for name in set(exact) & set(read) - {"jaw", "nose"}:
        assert np.abs(exact[name].mean(0) - read[name].mean(0)).max() < 0.02, name
        assert np.abs(np.ptp(exact[name][:, 0]) - np.ptp(read[name][:, 0])) < 0.03, name
    lowest, tip = (max(lines["jaw"][:, 1]) for lines in (exact, read))
    assert abs(lowest - tip) < 0.03
    assert exact["r_eye"][:, 0].mean() < exact["l_eye"][:, 0].mean()


def test_they_are_drawn_as_the_condition_takes_them() -> None:
    drawn = draw_landmarks(36)
    assert drawn.shape == (128, 128, 3) and np.array_equal(drawn, draw_landmarks(36))
    assert is_drawn(torch.from_numpy(drawn)[None].float() / 255)
