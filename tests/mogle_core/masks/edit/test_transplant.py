"""Parts from another face: fitted by eyes and head, covering only what they may."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mogle_core.masks.decode import MaskError
from mogle_core.masks.edit.classes import Ids, among, class_id
from mogle_core.masks.edit.move import move, rotate, scale
from mogle_core.masks.edit.transplant import PARTS, transplant
from mogle_core.masks.painting import read_painting

STARTERS = Path(__file__).resolve().parents[4] / "web/painter/map/starters.mjs"


def faces() -> dict[str, Ids]:
    """The painter's starter faces by their titles."""
    entries = re.findall(r'title: "([^"]+)", painting: "([^"]+)"', STARTERS.read_text("utf-8"))
    return {title: np.asarray(read_painting(text)) for title, text in entries}


FACES = faces()
PLAIN = FACES["short straight hair"]
DONORS = {
    "hair": FACES["long wavy hair"],
    "hat": FACES["medium wavy hair, hat"],
    "glasses": FACES["medium curly hair, glasses"],
    "eyes": FACES["short curly hair"],
    "mouth": FACES["long wavy hair"],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_face_itself_changes_nothing(part: str) -> None:
    donor = DONORS[part]
    assert np.array_equal(transplant(donor, donor, part), donor)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_arrives_whole_and_the_rest_stays(part: str) -> None:
    classes = PARTS[part].classes
    fitted = transplant(PLAIN, DONORS[part], part)
    for region in classes:
        assert (fitted == region).any() == (DONORS[part] == region).any()
    share = among(fitted, classes).sum() / among(DONORS[part], classes).sum()
    assert 0.4 < share < 2.5
    kept = ~among(PLAIN, (*classes, *PARTS[part].under))
    assert np.array_equal(fitted[kept], PLAIN[kept])


@pytest.mark.parametrize("part", PARTS)
def test_a_part_follows_size_place_and_tilt(part: str) -> None:
    """Given to a moved, smaller, tilted copy of the donor, it is where the copy has it."""
    donor = DONORS[part]
    copy = rotate(scale(move(donor, None, 30, -20), None, -35), None, 12)
    fitted = transplant(copy, donor, part)
    here, there = (among(one, PARTS[part].classes) for one in (fitted, copy))
    assert (here & there).sum() / (here | there).sum() > (0.8 if part in ("hair", "hat", "mouth") else 0.6)


def test_a_part_of_another_size_of_picture_fits() -> None:
    small = DONORS["mouth"][::2, ::2]
    areas = [among(transplant(PLAIN, donor, "mouth"), PARTS["mouth"].classes) for donor in (small, DONORS["mouth"])]
    assert (areas[0] & areas[1]).sum() / (areas[0] | areas[1]).sum() > 0.75


def test_locked_classes_stay() -> None:
    skin = class_id("skin")
    fitted = transplant(PLAIN, DONORS["hair"], "hair", locked=(skin,))
    assert np.array_equal(fitted == skin, skin == PLAIN)
    assert not np.array_equal(fitted, PLAIN)


def test_what_cannot_be_fitted_is_refused() -> None:
    blind = np.where(class_id("l_eye") == PLAIN, np.uint8(1), PLAIN)
    for given, donor, part, sentence in (
        (PLAIN, PLAIN, "hat", "has no hat"),
        (blind, DONORS["hair"], "hair", "no left eye"),
        (PLAIN, blind, "hair", "no left eye"),
        (PLAIN, PLAIN, "nose", "no part 'nose'"),
    ):
        with pytest.raises(MaskError, match=sentence):
            transplant(given, donor, part)
