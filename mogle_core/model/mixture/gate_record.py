"""What the gate did during sampling: its weights at every step of a run, kept within a memory bound.

Two samplers may share one Gated Condition, and a cached result may be older than the last run: so a run's steps are
kept with the latent that it made, and are found by that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...masks.labels import NUM_MASKS


@dataclass(frozen=True)
class GateStep:
    """The gate's weights at one step, for one chunk of the batch.

    sigma: (B,), the step's noise level. weights: (B, L or 1, E). grid: rows and columns of tokens.
    conditionings: which of the run's conditionings the rows belong to (0 positive, 1 negative, ...).
    """

    sigma: Tensor
    weights: Tensor
    grid: tuple[int, int]
    conditionings: tuple[int, ...] = ()

    @property
    def bytes(self) -> int:
        return self.weights.numel() * self.weights.element_size()


@dataclass(frozen=True)
class GateRun:
    """One sampling run that is over.

    made: the latents (B, C, H, W) that it is found by: its result, and its last estimate of the picture.
    dropped: how many further steps had no room.
    """

    steps: tuple[GateStep, ...]
    dropped: int = 0
    made: tuple[Tensor, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(step.bytes for step in self.steps)

    def has_made(self, samples: Tensor) -> bool:
        """Whether this latent is one of the run's, be it a copy on another device or in another dtype."""
        return any(
            made.shape == samples.shape and torch.equal(made.to(samples.dtype), samples.cpu()) for made in self.made
        )


@dataclass
class GateRecord:
    """The steps of the last run and, while there is room, of those before it.

    Keeps references to tensors that the gate has made anyway: no copies.

    masks: which of the 20 masks the experts E belong to.
    budget: bytes; for a new run's steps the oldest runs are given up first. Steps beyond it are counted in
        `dropped`, not kept.
    """

    masks: slice = field(default_factory=lambda: slice(0, NUM_MASKS))
    budget: int = 64 * 2**20
    steps: list[GateStep] = field(default_factory=list)
    dropped: int = 0
    made: tuple[Tensor, ...] = ()
    earlier: list[GateRun] = field(default_factory=list)

    def start(self) -> None:
        """A new run begins. The one before stays only if it can be found by what it made."""
        if self.made:
            self.earlier.append(self.last)
        self.steps.clear()
        self.dropped, self.made = 0, ()

    def add(self, step: GateStep) -> None:
        while self.earlier and self.bytes + step.bytes > self.budget:
            self.earlier.pop(0)
        if self.bytes + step.bytes > self.budget:
            self.dropped += 1
        else:
            self.steps.append(step)

    def finish(self, *made: Tensor) -> None:
        """Give the device's memory back; called when the run is over, with the latents it made if it came so far."""
        self.steps[:] = [replace(step, sigma=step.sigma.cpu(), weights=step.weights.cpu()) for step in self.steps]
        self.made = tuple(latent.detach().cpu() for latent in made)

    @property
    def last(self) -> GateRun:
        return GateRun(tuple(self.steps), self.dropped, self.made)

    def run_of(self, samples: Tensor) -> GateRun | None:
        """The run that made this latent; None if no run on record did."""
        runs = (self.last, *reversed(self.earlier))
        return next((run for run in runs if run.has_made(samples)), None)

    @property
    def bytes(self) -> int:
        """Of all steps on record; the latents beside them are small."""
        return self.last.bytes + sum(run.bytes for run in self.earlier)
