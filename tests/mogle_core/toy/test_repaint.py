"""A haircut on the label map changes only hair, in the way that it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mogle_core.masks.labels import IDS
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.repaint import repaint_hair

FACES = [torch.from_numpy(draw_face(seed).ids) for seed in range(20)]


def repainted(wanted: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Label maps (before, after) of the faces to which this repaint applies. At least one face qualifies."""
    pairs = [(ids, *repaint_hair(ids)) for ids in FACES]
    found = [(before, after) for before, after, what in pairs if what == wanted]
    assert found
    return found


def test_a_cut_takes_all_hair_below_the_chin_and_nothing_else() -> None:
    for before, after in repainted("hair cut at the chin"):
        chin = int((before == IDS["skin"]).any(dim=1).nonzero()[-1])
        assert not (after[chin + 1 :] == IDS["hair"]).any()
        changed = before != after
        assert changed.any()
        assert (before[changed] == IDS["hair"]).all()
        assert not changed[: chin + 1].any()
        assert set(after[changed].tolist()) <= {IDS["background"], IDS["neck"], IDS["cloth"]}


def test_more_hair_grows_over_background_only() -> None:
    for before, after in repainted("more hair"):
        changed = before != after
        assert changed.any()
        assert (before[changed] == IDS["background"]).all()
        assert (after[changed] == IDS["hair"]).all()


def test_hair_that_is_cut_takes_the_nearest_class() -> None:
    ids = np.zeros((40, 20), np.uint8)
    ids[:10, 5:15] = IDS["skin"]
    ids[10:, 5:15] = IDS["hair"]
    ids[10:, 15:] = IDS["neck"]
    after, _ = repaint_hair(torch.from_numpy(ids))
    assert (after[12:, 5:10] == IDS["background"]).all()
    assert (after[12:, 10:15] == IDS["neck"]).all()


@pytest.mark.parametrize("name", ["background", "skin"])
def test_without_hair_there_is_nothing_to_repaint(name: str) -> None:
    assert repaint_hair(torch.full((16, 16), IDS[name], dtype=torch.uint8)) is None


def test_without_background_there_is_no_room_for_more() -> None:
    ids = torch.full((16, 16), IDS["skin"], dtype=torch.uint8)
    ids[:4] = IDS["hair"]
    assert repaint_hair(ids) is None
