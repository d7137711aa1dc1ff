"""What the gate did during one sampling run: its weights at every step, kept within a memory bound."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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


@dataclass
class GateRecord:
    """The steps of the last run. Keeps references to tensors that the gate has made anyway: no copies.

    masks: which of the 20 masks the experts E belong to.
    budget: bytes; steps beyond it are counted in `dropped`, not kept.
    """

    masks: slice = field(default_factory=lambda: slice(0, NUM_MASKS))
    budget: int = 64 * 2**20
    steps: list[GateStep] = field(default_factory=list)
    dropped: int = 0

    def start(self) -> None:
        """Forget the run before."""
        self.steps.clear()
        self.dropped = 0

    def add(self, step: GateStep) -> None:
        if self.bytes + step.bytes > self.budget:
            self.dropped += 1
        else:
            self.steps.append(step)

    def finish(self) -> None:
        """Give the device's memory back; called when the run is over."""
        self.steps[:] = [replace(step, sigma=step.sigma.cpu(), weights=step.weights.cpu()) for step in self.steps]

    @property
    def bytes(self) -> int:
        return sum(step.bytes for step in self.steps)
