"""The CLIP score equals its closed form."""

from __future__ import annotations

import pytest
import torch

from mogle_core.evaluation.metrics.clip_score import clip_scores


def test_a_hundred_times_the_cosine() -> None:
    pictures = torch.tensor([[2.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    texts = torch.tensor([[5.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    assert clip_scores(pictures, texts).tolist() == pytest.approx([100, 100 / 2**0.5, -100])
