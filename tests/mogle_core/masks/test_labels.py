"""The label tables are complete and in range, and their palette is that of the stored masks."""

from __future__ import annotations

from itertools import combinations
from math import dist

import pytest
from PIL import Image
from support.places import DATA

from mogle_core.masks.labels import CLASS_NAMES, CLASSES, FLIPPED, LABEL_SPACES, NUM_CLASSES, PALETTE

MASKS = DATA / "masks"

PERMUTED_SPACES = ("celebamask", "farl", "bisenet")


def test_classes_are_in_the_order_of_their_ids() -> None:
    assert NUM_CLASSES == 19
    assert [c.id for c in CLASSES] == list(range(NUM_CLASSES))
    assert len(set(CLASS_NAMES)) == NUM_CLASSES


def test_palette_colours_are_at_least_51_apart() -> None:
    distances = {
        (CLASS_NAMES[a], CLASS_NAMES[b]): dist(PALETTE[a], PALETTE[b]) for a, b in combinations(range(NUM_CLASSES), 2)
    }
    assert min(distances.values()) == 51
    assert distances["background", "neck_l"] == 51


def test_the_palette_is_the_one_inside_an_mm_celeba_mask() -> None:
    stored = Image.open(MASKS / "mm_celeba_27000.png").getpalette()
    assert stored is not None
    assert stored[: 3 * NUM_CLASSES] == [level for colour in PALETTE for level in colour]


def test_flipping_twice_changes_nothing() -> None:
    assert [FLIPPED[FLIPPED[c]] for c in range(NUM_CLASSES)] == list(range(NUM_CLASSES))


def test_flipping_swaps_only_the_sided_classes() -> None:
    sided = {name[2:]: {} for name in CLASS_NAMES if name in ("l_eye", "l_brow", "l_ear")}
    swapped = {CLASS_NAMES[c]: CLASS_NAMES[f] for c, f in enumerate(FLIPPED) if c != f}
    assert swapped == {f"{a}_{part}": f"{b}_{part}" for part in sided for a, b in ("lr", "rl")}


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_each_space_maps_into_the_classes_and_keeps_background(space: str) -> None:
    table = LABEL_SPACES[space]
    assert table[0] == 0
    assert set(table) <= set(range(NUM_CLASSES))


@pytest.mark.parametrize("space", PERMUTED_SPACES)
def test_spaces_of_the_same_classes_are_permutations(space: str) -> None:
    assert sorted(LABEL_SPACES[space]) == list(range(NUM_CLASSES))


def test_celebamask_is_the_identity() -> None:
    assert LABEL_SPACES["celebamask"] == tuple(range(NUM_CLASSES))


def test_spaces_of_fewer_classes_name_none_twice() -> None:
    assert len(set(LABEL_SPACES["lapa"])) == len(LABEL_SPACES["lapa"]) == 11
    assert LABEL_SPACES["mediapipe"] == (0, 13, 17, 1, 18, 0), "only 'others' joins the background"
