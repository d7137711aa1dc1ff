"""DINO's structure distance: identities, invariances, and the published way to sum it."""

from __future__ import annotations

import pytest
import torch

from mogle_core.evaluation.metrics.structure import (
    distances_of,
    official,
    per_picture,
    self_similarity,
    structure_distances,
)

KEYS = torch.randn(3, 10, 8, generator=torch.Generator().manual_seed(0))


def test_distance_is_0_to_itself_and_to_any_rotation_of_its_keys() -> None:
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))[0]
    assert structure_distances(KEYS, KEYS).tolist() == [0, 0, 0]
    torch.testing.assert_close(structure_distances(KEYS, 3 * KEYS @ turn), torch.zeros(3), atol=1e-9, rtol=0)


def test_two_equal_tokens_against_two_orthogonal_ones() -> None:
    alike, apart = torch.tensor([[[1.0, 0], [2, 0]]]), torch.tensor([[[1.0, 0], [0, 1]]])
    assert self_similarity(apart).tolist() == [[[1, 0], [0, 1]]]
    assert structure_distances(alike, apart).item() == 0.5  # 2 of the 4 entries differ by 1


def test_picture_by_picture_is_the_batch() -> None:
    others = KEYS.flip(0)
    torch.testing.assert_close(distances_of(list(KEYS), list(others)), structure_distances(KEYS, others))


@pytest.mark.parametrize(("count", "factor"), [(3000, 63.83), (760, 63.33), (64, 64.0), (10, 10.0)])
def test_the_published_figure_is_a_sum_over_batches_of_64(count: int, factor: float) -> None:
    distances = torch.full((count,), 0.0382)
    assert per_picture(distances) == pytest.approx(0.0382)
    assert official(distances) == pytest.approx(factor * 0.0382, abs=0.001)


def test_the_papers_244_is_00382_a_picture() -> None:
    assert official(torch.full((3000,), 0.0382)) == pytest.approx(2.44, abs=0.005)
