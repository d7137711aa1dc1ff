"""The mask's inputs to one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .attention import StreamOptions
from .kept_keys import Kept
from .lora import LowRank
from .mask_tokens import Grid
from .merged_tokens import Merged
from .region_text import RegionText


@dataclass(frozen=True)
class MaskCondition:
    """The mask tokens of this step, and how they join the pass.

    tokens: (B, M, 64), the network's output; (B, 0, 64) with `reuse`.
    grid: the mask's, rows * columns = M; the picture's grid, or a smaller one.
    merged: which of the M tokens become one before the first block; None: all stay.
    guidance: the mask stream's guidance embedding; None takes the image's. It has no effect with `modulations`.
    texts: prompts of single regions, beside the pass's prompt.
    modulations: by the name of a block's modulation Linear, its output (B, 1, 6H or 3H) for the mask tokens, which
        is the same at every step of a run; None computes them.
    separate_calls: each stream calls the shared Linears separately. With weights whose products scale their whole
        input by its largest value (nvfp4), the mask tokens would otherwise change the image's rounding.
    absent: (B,) bool, the pictures of the batch that are computed as without a mask; None: no picture.
    keep: where this pass stores the mask's keys and values; None does not store them.
    reuse: the keys and values of an earlier pass. This pass then has neither mask tokens nor modulations.
    """

    tokens: Tensor
    grid: Grid
    lora: Mapping[str, LowRank] = field(default_factory=dict)
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    texts: tuple[RegionText, ...] = ()
    modulations: Mapping[str, Tensor] | None = None
    separate_calls: bool = False
    absent: Tensor | None = None
    keep: Kept | None = None
    reuse: Kept | None = None
    merged: Merged | None = None

    def to(self, dtype: torch.dtype) -> MaskCondition:
        """This condition with tokens, LoRA and modulations in this dtype."""
        return replace(
            self,
            tokens=self.tokens.to(dtype),
            lora={name: LowRank(*(part.to(dtype) for part in update)) for name, update in self.lora.items()},
            modulations=self.modulations and {name: tensor.to(dtype) for name, tensor in self.modulations.items()},
        )
