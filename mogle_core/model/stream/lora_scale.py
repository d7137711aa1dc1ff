"""The scale of a LoRA's update: alpha over rank, from the pair's alpha tensor or the file's metadata."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .lora_names import shown

_EXPRESSION = re.compile(r"[][^$*+?(){}|\\]")


class LoRAError(ValueError):
    """A LoRA file cannot be used for the mask stream; the message says why and what to do."""


@dataclass(frozen=True)
class Scaling:
    """The scale of pairs without an alpha tensor, from a file's metadata.

    alpha: of all pairs, None for alpha = rank. alpha_pattern, rank_pattern: by module, as PEFT stores them.
    rslora: the scale is alpha over the rank's square root.
    """

    alpha: float | None = None
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    rank_pattern: Mapping[str, float] = field(default_factory=dict)
    rslora: bool = False

    def alpha_of(self, module: str, rank: int) -> float:
        """The alpha for which alpha / rank is the pair's scale. Raises LoRAError."""
        stated = _of_module(self.rank_pattern, module)
        if stated is not None and stated != rank:
            raise LoRAError(
                f"The LoRA pair of {shown(module)} has rank {rank}; rank_pattern in the metadata says {stated:g}."
            )
        alpha = _of_module(self.alpha_pattern, module)
        alpha = self.alpha if alpha is None else alpha
        if not self.rslora:
            return float(rank) if alpha is None else alpha
        if alpha is None:
            raise LoRAError("The metadata says use_rslora, but no lora_alpha: the LoRA's scale is not known.")
        return alpha * math.sqrt(rank)


def _of_module(pattern: Mapping[str, float], module: str) -> float | None:
    """The value of the pattern that matches the module's name or the end of it.

    PEFT interprets patterns as regular expressions. In practice names suffice, and expressions from a file could run
    for hours.
    """
    for name, value in pattern.items():
        plain = name.removeprefix("^").removesuffix("$").replace(r"\.", ".")
        if _EXPRESSION.search(plain):
            raise LoRAError(
                f"The metadata gives an alpha or rank for the expression {shown(name)}; only names of modules are "
                "read. Save the LoRA again with alpha tensors."
            )
        if module == plain or module.endswith(f".{plain}"):
            return value
    return None
