"""Records the gate during sampling: its weights at every step of a run, within a memory limit.

Two samplers may share one Gated Condition, and a cached result may be older than the last run. So a run's steps are
stored with the latent that it made, and looked up by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...masks.labels import NUM_MASKS


@dataclass(frozen=True)
class GateStep:
    """The gate's weights at one step, for one chunk of the batch.

    sigma: (B,), the step's noise level. weights: (B, L or 1, E + K). grid: rows and columns of tokens.
    conditionings: the run's conditionings to which the rows belong (0 positive, 1 negative, ...).
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
    """One finished sampling run.

    made: the latents (B, C, H, W) that identify it: its result, and its last estimate of the picture.
    dropped: how many further steps did not fit.
    """

    steps: tuple[GateStep, ...]
    dropped: int = 0
    made: tuple[Tensor, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(step.bytes for step in self.steps)

    def has_made(self, samples: Tensor) -> bool:
        """Whether this latent is one of the run's, also as a copy on another device or in another dtype."""
        return any(
            made.shape == samples.shape and torch.equal(made.to(samples.dtype), samples.cpu()) for made in self.made
        )


@dataclass
class GateRecord:
    """The steps of the last run and, while they fit, of earlier runs.

    It stores references to the gate's tensors, not copies.

    masks: which of the 20 masks the experts E belong to. extra: the K further conditions.
    budget: bytes. New steps displace the oldest runs first. Steps that still do not fit are only
        counted, in `dropped`.
    """

    masks: slice = field(default_factory=lambda: slice(0, NUM_MASKS))
    budget: int = 64 * 2**20
    steps: list[GateStep] = field(default_factory=list)
    dropped: int = 0
    made: tuple[Tensor, ...] = ()
    earlier: list[GateRun] = field(default_factory=list)
    extra: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin a new run. The previous one stays only if its latents identify it."""
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
        """Free the device's memory at the end of a run; takes the run's latents if it got that far."""
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
        """The size of all recorded steps; their latents are small."""
        return self.last.bytes + sum(run.bytes for run in self.earlier)
