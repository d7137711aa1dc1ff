"""How well a detector tells generated faces from photos: AUC, equal error rate and average precision (Table 6).

Scores come from a file of any detector: `name,label,score` with a head, label 1 for generated, and a higher
score for "more likely generated".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

from ...dataset.tables import rows
from ..score_files import finite


@dataclass(frozen=True)
class Detection:
    """auc: area under the ROC curve. eer: the error rate where both errors are equal. ap: average precision."""

    auc: float
    eer: float
    ap: float


def detection(scores: Tensor, labels: Tensor) -> Detection:
    """AUC, EER and AP of scores (N,) with labels (N,) of 0 and 1.

    Raises ValueError unless both labels occur.
    """
    positives, total = int(labels.sum()), len(labels)
    if positives in (0, total):
        raise ValueError(
            f"{positives} of {total} pictures are labelled 1 (generated): scores of both kinds are needed."
        )
    truth, ranked = labels.numpy(), scores.double().numpy()
    false, true, _ = roc_curve(truth, ranked, drop_intermediate=False)
    return Detection(
        auc=float(roc_auc_score(truth, ranked)),
        # The point at which the curve, straight between its points, crosses the line of equal errors.
        eer=float(np.interp(0, false + true - 1, false)),
        ap=float(average_precision_score(truth, ranked)),
    )


def read_scores(path: Path) -> tuple[Tensor, Tensor]:
    """The scores and labels (N,) in a detector's file. Raises ValueError that names a wrong line."""
    scores, labels = [], []
    for line, row in rows(path):
        if missing := {"label", "score"} - set(row):
            raise ValueError(
                f"{path.name} has no column {' or '.join(sorted(missing))}; expected a head name,label,score "
                "with label 1 for generated and 0 for a photo."
            )
        label, score = str(row["label"]), finite(row["score"])
        if label not in ("0", "1") or score is None:
            raise ValueError(
                f"{path.name}, line {line}: label {row['label']!r:.80} and score {row['score']!r:.80}; expected a "
                "label of 0 or 1 and a number."
            )
        labels.append(int(label))
        scores.append(score)
    if not scores:
        raise ValueError(f"{path.name} holds no scores; expected a head name,label,score and a line for each picture.")
    return torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)
