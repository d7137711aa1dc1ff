"""A sampling run with a mask: what Gated Condition set, what is computed once, and one of its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...mogle_core.model.flux.cost import Shape, Tokens
from ...mogle_core.model.flux_latents import token_grid
from ...mogle_core.model.mixture.gate_record import GateRecord
from ...mogle_core.model.mixture.regions import Region
from ...mogle_core.model.stream.attention import StreamOptions
from ...mogle_core.model.stream.kept_keys import Refresh
from ...mogle_core.model.stream.region_text import RegionText, area_of

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One region's part of the joined contexts, and when it is heard."""

    tokens: int
    strength: float
    prompt_strength: float
    start_percent: float
    end_percent: float


@dataclass(frozen=True)
class JoinedTexts:
    """All regions' texts as the model's arguments bring them.

    contexts: (B, all tokens, C). shares: what each class covers of each latent cell, (B, R, H/8, W/8).
    """

    contexts: Tensor
    shares: Tensor
    parts: tuple[Part, ...]

    def texts(self, device: torch.device) -> tuple[RegionText, ...]:
        """Each region's text with its area, in the order of `parts`."""
        contexts = self.contexts.to(device).split([part.tokens for part in self.parts], dim=1)
        areas = (area_of(shares) for shares in self.shares.to(device).unbind(dim=1))
        return tuple(
            RegionText(context, area, part.strength, part.prompt_strength)
            for context, area, part in zip(contexts, areas, self.parts, strict=True)
        )


@dataclass(frozen=True)
class MaskSettings:
    """Everything that Gated Condition sets; travels with the model.

    record: what the gate does is kept there, anew with each run; None keeps nothing.
    refresh, mask_tokens: exactness given away for speed; by default none.
    """

    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    regions: tuple[Region, ...] = ()
    gate_timestep: str = "sampling"
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    separate_calls: bool = False
    record: GateRecord | None = None
    refresh: Refresh = field(default_factory=Refresh)
    mask_tokens: str = "full"


@dataclass
class Run:
    """One sampling run: what is computed once, by what it depends on."""

    kept: dict[Hashable, Any] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    masked: bool = False
    swallowed_by: str = ""  # what stands in FLUX's place, from when it was handed a mask until a block saw one
    seen: bool = False  # some block carried the mask
    passes: list[Tokens] = field(default_factory=list)
    shape: Shape | None = None

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        if key not in self.kept:
            self.kept[key] = compute()
        value: T = self.kept[key]
        return value

    def warn(self, sentence: str) -> None:
        if sentence not in self.warned:
            self.warned.add(sentence)
            logger.warning(sentence)


@dataclass(frozen=True)
class Step:
    """What ComfyUI hands to one step.

    x: (B, 16, H, W). sigma: (B,). latents: the masks', (B, 20 * 16, H, W). conds: the conditioning's other
    tensors, such as `y` and `guidance`. texts: the regions' own.
    """

    model: Any
    x: Tensor
    sigma: Tensor
    latents: Tensor
    options: Mapping[str, Any]
    conds: Mapping[str, Any]
    texts: JoinedTexts | None = None

    @property
    def batch(self) -> Hashable:
        """The conditionings of this batch, on this device; None if the sampler gave them no names."""
        uuids = tuple(self.options.get("uuids", ()))
        return (uuids, tuple(self.x.shape), self.x.device) if uuids else None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return token_grid(*self.x.shape[-2:])

    def additional_model(self, key: str) -> Any:
        """This device's copy of a module that travels with the model; None if there is none."""
        found = self.model.current_patcher.get_additional_models_with_key(key)
        return found[0].model if found else None

    def within(self, start_percent: float, end_percent: float) -> bool:
        """Whether the sampling is now between two of its percents."""
        if start_percent <= 0 and end_percent >= 1:
            return True  # without asking the device for sigma's value
        # As core does for a conditioning's time range: the tensor itself, so that both sides are rounded alike.
        sampling, now = self.model.model_sampling, self.sigma.max()
        return not (now > sampling.percent_to_sigma(start_percent) or now < sampling.percent_to_sigma(end_percent))
