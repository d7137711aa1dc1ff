"""The toy's scores equal their closed forms."""

from __future__ import annotations

import pytest
import torch

from mogle_core.masks.labels import IDS
from mogle_core.toy.drawer.attributes import HAIR_COLOURS
from mogle_core.toy.score import change_ratio, class_scores, frechet, hair_colour, hair_right, mask_score


def halves(left: int, right: int) -> torch.Tensor:
    ids = torch.full((1, 8, 8), left, dtype=torch.uint8)
    ids[:, :, 4:] = right
    return ids


def test_mask_score_counts_the_classes_of_the_input_mask() -> None:
    wanted = halves(0, 13)
    assert mask_score(wanted, wanted).item() == 1
    # Half of the hair became skin: background 1, hair 16 of 32; skin was not wanted and does not count.
    found = wanted.clone()
    found[:, :4, 4:] = 1
    assert class_scores(found, wanted)[0, [0, 13]].tolist() == [1, 0.5]
    assert mask_score(found, wanted).item() == pytest.approx(0.75)
    assert class_scores(found, wanted)[0, 1].isnan()


@pytest.mark.parametrize("name", HAIR_COLOURS)
def test_hair_is_named_by_the_nearest_colour(name: str) -> None:
    ids = halves(0, IDS["hair"])
    picture = torch.zeros(8, 8, 3, dtype=torch.uint8)
    picture[:, 4:] = torch.tensor(HAIR_COLOURS[name], dtype=torch.uint8)
    assert hair_colour(picture, ids[0]) == name
    assert hair_right(picture[None], ids, [name]) == 1


def test_a_bald_picture_has_no_hair_colour_and_does_not_count() -> None:
    ids = halves(0, IDS["hair"])
    bald = torch.zeros_like(ids)
    picture = torch.tensor(HAIR_COLOURS["red"], dtype=torch.uint8).expand(8, 8, 3)
    assert hair_colour(picture, bald[0]) is None
    both = torch.stack([picture, picture])
    assert hair_right(both, torch.cat([ids, bald]), ["red", "red"]) == 1
    assert hair_right(both, torch.cat([ids, bald]), ["blue", "red"]) == 0


def test_change_ratio() -> None:
    before = torch.zeros(8, 8, 3, dtype=torch.uint8)
    after = torch.full_like(before, 2)
    after[:, 4:] = 10
    assert change_ratio(before, after, halves(0, 1)[0].bool()) == pytest.approx(5)


def test_frechet_of_gaussians_that_differ_by_shift_and_scale() -> None:
    features = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    assert frechet(features, features) == pytest.approx(0, abs=1e-8)
    assert frechet(features + 3, features) == pytest.approx(6 * 9, rel=1e-5)
    # |m|^2 apart, and tr(S + 4 S - 2 * 2 S) = tr S of covariances S and 4 S.
    shared = torch.cov(features.T.double()).trace() + features.double().mean(0).square().sum()
    assert frechet(2 * features, features) == pytest.approx(float(shared), rel=1e-5)
