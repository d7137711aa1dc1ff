"""Detection against scikit-learn, and its score files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from mogle_core.evaluation.metrics.detection import detection, read_scores, roc


@pytest.mark.parametrize("levels", [4, 50, 100_000])
@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_has_the_same_figures(seed: int, levels: int) -> None:
    """With few levels most scores are tied."""
    rng = np.random.default_rng(seed)
    labels = rng.random(300) < 0.4
    scores = rng.integers(0, levels, 300) + labels * levels // 5
    found = detection(torch.from_numpy(scores), torch.from_numpy(labels).int())
    assert found.auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert found.ap == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    ours = roc(torch.from_numpy(scores), torch.from_numpy(labels).int())
    np.testing.assert_allclose(ours[0], false, atol=1e-12)
    np.testing.assert_allclose(ours[1], true, atol=1e-12)
    # Where scikit-learn's curve, straight between its points, meets the line of equal errors.
    crossing = np.interp(0, false + true - 1, false)
    assert found.eer == pytest.approx(crossing, abs=1e-9)


def test_perfect_inverted_and_blind() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    perfect = detection(torch.tensor([0.1, 0.2, 0.8, 0.9]), labels)
    assert (perfect.auc, perfect.eer, perfect.ap) == (1, 0, 1)
    inverted = detection(torch.tensor([0.9, 0.8, 0.2, 0.1]), labels)
    assert (inverted.auc, inverted.eer) == (0, 1)
    blind = detection(torch.zeros(4), labels)
    assert (blind.auc, blind.eer, blind.ap) == (0.5, 0.5, 0.5)


def test_one_kind_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="4 of 4 pictures are labelled 1"):
        detection(torch.rand(4), torch.ones(4))


def test_a_score_file(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("name,label,score\na,1,0.5\nb,0,-2e-1\n")
    scores, labels = read_scores(file)
    assert scores.tolist() == [0.5, -0.2] and labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,score\na,1\n", "no column label"),
        ("name,label,score\na,1,0.5\nb,2,0.1\n", "line 3: label '2' and score '0.1'"),
        ("name,label,score\na,1,nan\n", "line 2"),
        ("name,label,score\na,1\n", "line 2"),
    ],
)
def test_a_sentence_for_a_wrong_line(content: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_scores(file)
