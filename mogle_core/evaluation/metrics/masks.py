"""How well pictures follow their masks, as a parser reads them: `mogle_core.masks.score` over a whole set."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ...masks.score import Score, score
from ...parse.parser import Parser
from ..spread import each_of


def mask_scores(parser: Parser, pairs: Iterable[tuple[Tensor, Tensor]]) -> Score:
    """The scores of pairs of a picture (H, W, 3) uint8 and the ids (h, w) that it was made from.

    A class counts if the mask or the parsed picture has it. A class that neither has is NaN and is left out of
    every mean. (Some published scripts count it as 1, which raises every mean.)
    """
    targets: deque[Tensor] = deque()
    parsed = each_of(parser, _calls(pairs, targets))
    scores = [score(ids, targets.popleft()[None]) for ids in parsed]
    return Score(
        ious=torch.cat([each.ious for each in scores]),
        outlines=torch.cat([each.outlines for each in scores]),
        merged=torch.cat([each.merged for each in scores]),
        accuracy=torch.cat([each.accuracy for each in scores]),
    )


def _calls(pairs: Iterable[tuple[Tensor, Tensor]], targets: deque[Tensor]) -> Iterator[tuple[Tensor]]:
    """Yield the parser's arguments; append each picture's ids to `targets`."""
    for picture, ids in pairs:
        targets.append(ids)
        yield (picture[None].float() / 255,)
