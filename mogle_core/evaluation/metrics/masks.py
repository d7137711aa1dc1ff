"""How well pictures keep their masks, as a parser reads them: `mogle_core.masks.score` over a whole set."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ...masks.score import Score, score
from ...parse.parser import Parser
from ..spread import each_of


def mask_scores(parser: Parser, pairs: Iterable[tuple[Tensor, Tensor]]) -> Score:
    """Of pictures (H, W, 3) uint8 and the ids (h, w) that they were made from, one pair after the other.

    A class counts where it is in the mask or in what the parser finds; a class that is in neither is NaN and
    in no mean. (Counted as 1, as in some published scripts, it would lift every mean.)
    """
    wanted: deque[Tensor] = deque()
    parsed = each_of(parser, _calls(pairs, wanted))
    found = [score(ids, wanted.popleft()[None]) for ids in parsed]
    return Score(
        ious=torch.cat([each.ious for each in found]),
        outlines=torch.cat([each.outlines for each in found]),
        merged=torch.cat([each.merged for each in found]),
        accuracy=torch.cat([each.accuracy for each in found]),
    )


def _calls(pairs: Iterable[tuple[Tensor, Tensor]], wanted: deque[Tensor]) -> Iterator[tuple[Tensor]]:
    """wanted: is given the ids of each picture as it is read."""
    for picture, ids in pairs:
        wanted.append(ids)
        yield (picture[None].float() / 255,)
