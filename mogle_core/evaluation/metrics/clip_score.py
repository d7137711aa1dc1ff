"""How well pictures show their captions: 100 times the cosine of CLIP's two embeddings (Hessel et al., 2021)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def clip_scores(pictures: Tensor, texts: Tensor) -> Tensor:
    """Embeddings (N, F) of pictures and of their captions -> (N,).

    Negative values stay negative, as in the published figures.
    """
    return 100 * F.cosine_similarity(pictures.double(), texts.double(), dim=-1)
