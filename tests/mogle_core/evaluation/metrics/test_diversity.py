"""Diversity over pairs, and which images differ only in their seed."""

from __future__ import annotations

import pytest
import torch

from mogle_core.evaluation.metrics.diversity import by_subject, diversity
from mogle_core.evaluation.networks.toy import toy_distance


def test_the_mean_over_all_pairs() -> None:
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    pictures = levels.view(3, 1, 1, 1).expand(3, 3, 4, 4)
    assert diversity(toy_distance, pictures) == pytest.approx((0.2 + 1 + 0.8) / 3)
    assert diversity(toy_distance, pictures[[0, 0]]) == 0
    with pytest.raises(ValueError, match="two pictures or more"):
        diversity(toy_distance, pictures[:1])


def test_copies_of_one_mask() -> None:
    assert by_subject(["b@1", "a@0", "a@1", "c", "b@0", "d@x"]) == {"a": ["a@0", "a@1"], "b": ["b@0", "b@1"]}
