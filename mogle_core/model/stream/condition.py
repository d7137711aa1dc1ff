"""What one forward pass is given of the mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .attention import StreamOptions
from .kept_keys import Kept
from .lora import LowRank
from .mask_tokens import Grid
from .region_text import RegionText


@dataclass(frozen=True)
class MaskCondition:
    """The mask's tokens of this step, and how they join the pass.

    tokens: (B, M, 64), what the network makes of the masks; (B, 0, 64) where `reuse` is given.
    grid: the mask's, rows * columns = M; the picture's grid, or a smaller one.
    guidance: the mask stream's guidance embedding; None takes the image's. Without effect beside `modulations`.
    texts: prompts of single regions, beside the pass's prompt.
    modulations: by the name of a block's modulation Linear, its output (B, 1, 6H or 3H) for the mask tokens, which
        is the same at every step of a run; None computes them.
    separate_calls: each stream gets its own call of the shared Linears. Weights whose products scale their whole
        input by its largest value (nvfp4) would otherwise let the mask tokens move the image's rounding.
    keep: where this pass stores the mask's keys and values, if anywhere.
    reuse: the keys and values of an earlier pass; this pass then has no mask tokens and needs no modulations.
    """

    tokens: Tensor
    grid: Grid
    lora: Mapping[str, LowRank] = field(default_factory=dict)
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    texts: tuple[RegionText, ...] = ()
    modulations: Mapping[str, Tensor] | None = None
    separate_calls: bool = False
    keep: Kept | None = None
    reuse: Kept | None = None

    def to(self, dtype: torch.dtype) -> MaskCondition:
        """The same with tokens, LoRA and modulations in this dtype."""
        return replace(
            self,
            tokens=self.tokens.to(dtype),
            lora={name: LowRank(*(part.to(dtype) for part in update)) for name, update in self.lora.items()},
            modulations=self.modulations and {name: tensor.to(dtype) for name, tensor in self.modulations.items()},
        )
