"""Sampling options: everything that is the same for all pictures of a run."""

from __future__ import annotations

from dataclasses import dataclass

from ..mixture.regions import Region
from ..stream.key_forms import KeyForm
from ..stream.refresh import Refresh


@dataclass(frozen=True)
class SamplingOptions:
    """Steps, guidance, and the effect of the mask. With the defaults the mask acts as in the paper.

    guidance: the guidance embedding's value. cfg: classifier-free guidance against the empty prompt; 1 turns it off.
    regions: strengths and time windows of single masks. strength: of the whole mask; 0 is the base model.
    mask_guidance: the mask stream's guidance embedding; None takes `guidance`.
    refresh: when the mask stream's keys are recomputed. keys: how they are stored until then.
    mask_tokens: `full`, `half` for a quarter of them, or `merged` for fewer inside of regions.
    """

    steps: int
    guidance: float = 1.0
    cfg: float = 1.0
    regions: tuple[Region, ...] = ()
    strength: float = 1.0
    mask_guidance: float | None = None
    refresh: Refresh = Refresh()
    keys: KeyForm = KeyForm()
    mask_tokens: str = "full"
