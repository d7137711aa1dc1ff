"""The settings that all jobs of a run share, and the digest by which a picture is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..masks.decouple import LocalMasks
from ..model.flux_latents import TOKEN_PIXELS
from ..model.stream.mask_tokens import mask_grid
from ..model.stream.refresh import Refresh
from .jobs import Job

MOST_PIXELS = 4096
"""The largest side; beyond it a picture has too many tokens for any machine."""


@dataclass(frozen=True)
class Settings:
    """width, height: in pixels, multiples of 16. mask_guidance: of the mask stream, None takes `guidance`.

    local_masks: "blank" leaves them black, as the official script does. label_space: of the stored masks.
    refresh_every, refresh_schedule: when the mask is computed anew, as in `Refresh`. mask_tokens: of `MASK_TOKENS`.
    official: also use its single noise generator, which makes a picture depend on all earlier ones.
    """

    width: int = 512
    height: int = 512
    steps: int = 28
    guidance: float = 3.5
    mask_guidance: float | None = None
    strength: float = 1.0
    local_masks: LocalMasks = "correct"
    label_space: str = "auto"
    official: bool = False
    refresh_every: int = 1
    refresh_schedule: str = "even"
    mask_tokens: str = "full"

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if not TOKEN_PIXELS <= side <= MOST_PIXELS or side % TOKEN_PIXELS:
                raise ValueError(
                    f"The {name} is {side}: choose a multiple of {TOKEN_PIXELS} up to {MOST_PIXELS}, such as 512."
                )
        if self.steps < 1:
            raise ValueError(f"--steps is {self.steps}: sampling takes at least 1 step.")
        if not 0 <= self.strength <= 2:
            raise ValueError(f"--strength is {self.strength}: choose 0 to 2.")
        _ = self.refresh, mask_grid(self.mask_tokens, (1, 1))  # these check their values

    @property
    def refresh(self) -> Refresh:
        """Raises ValueError for values that no schedule has."""
        return Refresh(self.refresh_every, self.refresh_schedule)

    def stored(self) -> dict[str, Any]:
        """As pictures made before carry them: what came later is left out while it is at its default."""
        later = {"refresh_every": 1, "refresh_schedule": "even", "mask_tokens": "full"}
        return {name: value for name, value in asdict(self).items() if (name, value) not in later.items()}


def digest(
    job: Job,
    ids: Tensor | None,
    settings: Settings,
    backend: Mapping[str, Any],
    conditions: Mapping[str, Tensor] | None = None,
) -> str:
    """A fingerprint of everything that a picture depends on: (H, W) ids, prompt, seed, settings, weights.

    conditions: the further conditions' pictures (H, W, 3) uint8 by kind.
    """
    mask = None if ids is None else _digest(ids.to(torch.uint8))
    whole = {
        "prompt": job.prompt,
        "seed": job.seed,
        "mask": mask,
        "settings": settings.stored(),
        "backend": dict(backend),
    }
    if conditions:
        whole["conditions"] = {kind: _digest(picture) for kind, picture in conditions.items()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]


def _digest(levels: Tensor) -> str:
    return hashlib.sha256(levels.numpy().tobytes()).hexdigest()
