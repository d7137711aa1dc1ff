"""The unit of the gate's time, which depends on how a checkpoint was trained."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

GateTimestep = Literal["sampling", "training"]
"""`sampling`: sigma * 1000, as the official inference does; `training`: sigma in 0..1, as its training does."""


def gate_time(unit: GateTimestep, sigma: Tensor) -> Tensor:
    """The gate's time at noise level sigma (B,)."""
    return sigma * 1000 if unit == "sampling" else sigma
