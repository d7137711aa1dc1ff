"""A sampling run with a mask: what Gated Condition set, what is computed once, and one of its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ...mogle_core.model.flux.cost import Shape, Tokens
from ...mogle_core.model.flux_latents import token_grid
from ...mogle_core.model.mixture.gate_record import GateRecord
from ...mogle_core.model.mixture.gate_time import GateTimestep
from ...mogle_core.model.mixture.network import MoGLE
from ...mogle_core.model.mixture.regions import Region
from ...mogle_core.model.sampling.gated_mask import GatedMask
from ...mogle_core.model.stream.attention import StreamOptions
from ...mogle_core.model.stream.kept_keys import Reuse, nearest
from ...mogle_core.model.stream.key_forms import KeyForm
from ...mogle_core.model.stream.lora import LowRank
from ...mogle_core.model.stream.mask_tokens import Grid
from ...mogle_core.model.stream.merged_tokens import Merged
from ...mogle_core.model.stream.refresh import Refresh
from ...mogle_core.model.stream.region_text import RegionText, area_of
from .foreign_blocks import Key
from .key_memory import LentKeys

logger = logging.getLogger(__name__)

NETWORK = "mogle"
"""The network's name among a model's additional models."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Part:
    """One region's part of the joined contexts, and when it applies."""

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
        contexts = torch.split(self.contexts.to(device), [part.tokens for part in self.parts], dim=1)
        areas = (area_of(shares) for shares in self.shares.to(device).unbind(dim=1))
        return tuple(
            RegionText(context, area, part.strength, part.prompt_strength)
            for context, area, part in zip(contexts, areas, self.parts, strict=True)
        )


@dataclass(frozen=True)
class MaskSettings:
    """Everything that Gated Condition sets; travels with the model.

    record: stores what the gate does, anew with each run; None stores nothing.
    refresh, mask_tokens: trade exactness for speed; the defaults are exact. keys: how kept keys are stored.
    schedule: factors on the strength, spread over the run's steps; empty leaves it the same at every step.
    double_strength, single_strength: factors on the strength in FLUX's double blocks and in its single blocks.
    pooled: (P,), in the place of the prompt's in the mask's vector, with guidance 1; None takes the prompt's.
    static: the checkpoint's mask stream depends on the mask alone.
    """

    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    regions: tuple[Region, ...] = ()
    gate_timestep: GateTimestep = "sampling"
    options: StreamOptions = field(default_factory=StreamOptions)
    guidance: float | None = None
    separate_calls: bool = False
    record: GateRecord | None = None
    refresh: Refresh = field(default_factory=Refresh)
    keys: KeyForm = field(default_factory=KeyForm)
    mask_tokens: str = "full"
    schedule: tuple[float, ...] = ()
    double_strength: float = 1.0
    single_strength: float = 1.0
    pooled: Tensor | None = field(default=None, compare=False)
    static: bool = False

    def stream_options(self) -> StreamOptions:
        """The checkpoint's options with these strengths."""
        return replace(
            self.options,
            strength=self.strength,
            double_strength=self.double_strength,
            single_strength=self.single_strength,
        )

    def at(self, step: Step, run: Run) -> MaskSettings:
        """These settings at one step: the schedule's factor is in the strength."""
        sigmas = step.options.get("sample_sigmas")
        if not self.schedule or sigmas is None:
            return self
        run.levels = run.levels or sigmas.tolist()
        number = nearest(float(step.sigma.max()), run.levels)
        return replace(self, strength=self.strength * spread(self.schedule, number, len(run.levels) - 1))


def spread(values: tuple[float, ...], number: int, steps: int) -> float:
    """The value at one of so many steps, linear between the given ones; as many as steps: one each."""
    place = 0.0 if steps <= 1 else number * (len(values) - 1) / (steps - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


class Source(NamedTuple):
    """What a static stream's keys depend on, and of how many pictures they are: 1 if all have the same mask."""

    key: Hashable
    pictures: int


class Batch(NamedTuple):
    """The conditionings that one call of the model runs together, on one device."""

    uuids: tuple[Hashable, ...]
    shape: tuple[int, ...]
    device: torch.device


class Once(Generic[K, V]):
    """Values of one kind, each computed once, by what they depend on."""

    def __init__(self) -> None:
        self._values: dict[K, V] = {}

    def get(self, key: K, compute: Callable[[], V]) -> V:
        if key not in self._values:
            self._values[key] = compute()
        return self._values[key]

    def values(self) -> Iterable[V]:
        return self._values.values()

    def items(self) -> Iterable[tuple[K, V]]:
        return self._values.items()


@dataclass
class Run:
    """One sampling run: what is computed once, what was warned of, and what its passes were.

    levels: the run's sigmas. keys: the mask's keys of earlier steps. measured: the batches that were checked for room.
    masked: whether any conditioning carried a mask. seen: whether any block did.
    sources: what the keys of a static stream depend on; weights: of that, the digest of network and LoRA.
    made: how often this run computed such keys.
    swallowed_by: what runs in FLUX's place, if it was given a mask that no block had seen yet.
    foreign: the blocks that another extension put in the place of FLUX's. shape: the transformer's sizes.
    """

    networks: Once[torch.device, MoGLE] = field(default_factory=Once)
    loras: Once[torch.device, dict[str, LowRank]] = field(default_factory=Once)
    masks: Once[Batch, GatedMask] = field(default_factory=Once)
    merged: Once[Batch, Merged | None] = field(default_factory=Once)
    modulations: Once[Batch, dict[str, Tensor]] = field(default_factory=Once)
    texts: Once[Batch, tuple[RegionText, ...]] = field(default_factory=Once)
    region_factors: Once[tuple[tuple[bool, ...], torch.device], Tensor | None] = field(default_factory=Once)
    foreign: dict[Key, str] | None = None
    levels: list[float] | None = None
    keys: Once[torch.device, LentKeys[Reuse]] = field(default_factory=Once)
    measured: set[Batch] = field(default_factory=set)
    weights: Once[torch.device, str] = field(default_factory=Once)
    sources: Once[tuple[Batch, tuple[float, ...] | None], Source] = field(default_factory=Once)
    made: int = 0
    warned: set[str] = field(default_factory=set)
    masked: bool = False
    swallowed_by: str = ""
    seen: bool = False
    passes: list[Tokens] = field(default_factory=list)
    shape: Shape | None = None

    def close(self) -> None:
        """Give back what the run kept beside its result."""
        for keys in self.keys.values():
            keys.close()

    def warn(self, sentence: str) -> None:
        if sentence not in self.warned:
            self.warned.add(sentence)
            logger.warning(sentence)


@dataclass(frozen=True)
class Step:
    """What ComfyUI hands to one step.

    x: (B, 16, H, W). sigma: (B,). latents: the masks', (B, 20 * 16, H, W). conds: the conditioning's other
    tensors, such as `y` and `guidance`. texts: the regions' prompts. absent: (B,) bool, the pictures that are computed
    as without a mask; None: no picture. cells: the class of each of the masks' latent cells (B, H, W), if known.
    """

    model: Any
    x: Tensor
    sigma: Tensor
    latents: Tensor
    options: Mapping[str, Any]
    conds: Mapping[str, Any]
    texts: JoinedTexts | None = None
    absent: Tensor | None = None
    cells: Tensor | None = None

    @property
    def named(self) -> bool:
        """Whether the sampler said which conditionings this batch holds; without it nothing can be kept for them."""
        return bool(self.options.get("uuids"))

    @property
    def batch(self) -> Batch:
        """The conditionings of this batch, on this device."""
        return Batch(tuple(self.options.get("uuids", ())), tuple(self.x.shape), self.x.device)

    @property
    def grid(self) -> Grid:
        """Rows and columns of tokens."""
        return token_grid(*self.x.shape[-2:])

    def additional_model(self, key: str) -> Any:
        """This device's copy of a module that travels with the model; None if there is none."""
        patchers = self.model.current_patcher.get_additional_models_with_key(key)
        return patchers[0].model if patchers else None

    def within(self, start_percent: float, end_percent: float) -> bool:
        """Whether the sampling is now between two of its percents."""
        if start_percent <= 0 and end_percent >= 1:
            return True  # without asking the device for sigma's value
        # As core does for a conditioning's time range: the tensor itself, so that both sides are rounded alike.
        sampling, now = self.model.model_sampling, self.sigma.max()
        return not (now > sampling.percent_to_sigma(start_percent) or now < sampling.percent_to_sigma(end_percent))
