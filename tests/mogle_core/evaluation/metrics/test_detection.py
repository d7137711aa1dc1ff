"""The detection figures follow their definitions, and score files are read or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mogle_core.evaluation.metrics.detection import detection, read_scores


@pytest.mark.parametrize("levels", [4, 50, 100_000])
@pytest.mark.parametrize("seed", range(5))
def test_figures_by_their_definitions(seed: int, levels: int) -> None:
    """Computed pair by pair and threshold by threshold. There are few levels, so most scores are tied."""
    rng = np.random.default_rng(seed)
    labels = rng.random(300) < 0.4
    scores = rng.integers(0, levels, 300) + labels * levels // 5
    found = detection(torch.from_numpy(scores), torch.from_numpy(labels).int())
    made, photos = scores[labels], scores[~labels]
    wins, ties = made[:, None] > photos, made[:, None] == photos
    assert found.auc == pytest.approx((wins + ties / 2).mean(), abs=1e-9)
    points, precision, recall = [(0.0, 0.0)], 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        false, true = float((photos >= threshold).mean()), float((made >= threshold).mean())
        precision += (true - recall) * labels[scores >= threshold].mean()
        recall = true
        points.append((false, true))
    assert found.ap == pytest.approx(precision, abs=1e-9)
    # The curve's points before and after the line on which false alarms are as frequent as misses.
    after = next(number for number, (false, true) in enumerate(points) if false >= 1 - true)
    (f0, t0), (f1, t1) = points[after - 1], points[after]
    share = (1 - t0 - f0) / (f1 - f0 + t1 - t0)
    assert found.eer == pytest.approx(f0 + share * (f1 - f0), abs=1e-9)


def test_perfect_inverted_and_uninformative_scores() -> None:
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
    assert scores.tolist() == [0.5, -0.2]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,score\na,1\n", "no column label"),
        ("name,label,score\na,1,0.5\nb,2,0.1\n", "line 3: label '2' and score '0.1'"),
        ("name,label,score\na,1,nan\n", "line 2"),
        ("name,label,score\na,1\n", "line 2"),
    ],
)
def test_a_wrong_line_is_an_error_message(content: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_scores(file)
