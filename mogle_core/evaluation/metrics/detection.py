"""How well a detector tells generated faces from photos: AUC, equal error rate and average precision (Table 6).

Scores come from a file of any detector: `name,label,score` with a head, label 1 for generated, and a higher
score for "more likely generated".
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Detection:
    """auc: area under the ROC curve. eer: the error rate where both errors are equal. ap: average precision."""

    auc: float
    eer: float
    ap: float


def detection(scores: Tensor, labels: Tensor) -> Detection:
    """Of scores (N,) and labels (N,) of 0 and 1.

    Raises ValueError unless both labels occur.
    """
    positives, total = int(labels.sum()), len(labels)
    if positives in (0, total):
        raise ValueError(
            f"{positives} of {total} pictures are labelled 1 (generated): scores of both kinds are needed."
        )
    false, true = roc(scores, labels)
    precision = true * positives / (true * positives + false * (total - positives)).clamp_min(1)
    return Detection(
        auc=float(torch.trapezoid(true, false)),
        eer=_equal_error(false, true),
        ap=float((true.diff() * precision[1:]).sum()),
    )


def roc(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The rates of false and of true alarms at every threshold that makes a difference, both rising from 0 to 1."""
    order = scores.double().argsort(descending=True)
    ranked, hits = scores.double()[order], labels.double()[order]
    last = torch.cat((ranked.diff() != 0, torch.ones(1, dtype=torch.bool)))  # of each run of equal scores
    true, false = hits.cumsum(0)[last], (1 - hits).cumsum(0)[last]
    start = torch.zeros(1, dtype=torch.float64)
    return torch.cat((start, false / false[-1])), torch.cat((start, true / true[-1]))


def _equal_error(false: Tensor, true: Tensor) -> float:
    """Where the curve crosses the line of equal errors, straight between its points."""
    gap = false - (1 - true)  # rises from -1 to 1
    after = int((gap >= 0).nonzero()[0])
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


def read_scores(path: Path) -> tuple[Tensor, Tensor]:
    """Scores and labels (N,) of a detector's file. Raises ValueError with the line that is wrong."""
    scores, labels = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if missing := {"label", "score"} - set(rows.fieldnames or ()):
            raise ValueError(
                f"{path.name} has no column {' or '.join(sorted(missing))}; expected a head name,label,score "
                "with label 1 for generated and 0 for a photo."
            )
        for row in rows:
            label, score = _row(path, rows.line_num, row)
            labels.append(label)
            scores.append(score)
    return torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)


def _row(path: Path, line: int, row: dict[str, str]) -> tuple[int, float]:
    try:
        label, score = int(row["label"]), float(row["score"])
    except (TypeError, ValueError):
        label, score = -1, math.nan
    if label not in (0, 1) or not math.isfinite(score):
        raise ValueError(
            f"{path.name}, line {line}: label {row.get('label')!r} and score {row.get('score')!r}; expected a label "
            "of 0 or 1 and a number."
        )
    return label, score
