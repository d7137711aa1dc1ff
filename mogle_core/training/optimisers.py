"""The optimisers, the course of the learning rate, and a step that is skipped if the gradient is not finite."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .config.sections import Optimiser

Course = Literal["constant", "cosine", "linear"]


def share_of_rate(step: int, steps: int, warmup: int, course: Course) -> float:
    """The factor on the learning rate at a step (from 0): a linear warm-up, then the course, which ends at 1 %."""
    rise = min(1.0, (step + 1) / max(1, warmup))
    if course == "constant":
        return rise
    if course == "linear":
        return rise * (1 - 0.99 * min(1.0, step / steps))
    return rise * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * step / steps)))


def make_optimiser(settings: Optimiser, vectors: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    """One parameter group for each of `vectors` (`lora`, `network`).

    Raises:
        ModuleNotFoundError: Prodigy's or the 8-bit optimiser's package is not installed.
    """
    rates = {"network": settings.lr_network or settings.lr}
    groups = [{"params": [vector], "lr": rates.get(name, settings.lr)} for name, vector in vectors.items()]
    for group in groups:
        group["full_lr"] = group["lr"]
    common: dict[str, Any] = {"lr": settings.lr, "betas": settings.betas, "weight_decay": settings.weight_decay}
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, **common, fused=True)
    if settings.name == "adamw8bit":
        import bitsandbytes

        made: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(groups, **common)
        return made
    import prodigyopt

    with contextlib.redirect_stdout(io.StringIO()):  # it prints a line about its weight decay
        made = prodigyopt.Prodigy(groups, **common, use_bias_correction=True, safeguard_warmup=True)
    return made


def set_rate(optimiser: torch.optim.Optimizer, share: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = group["full_lr"] * share


def careful_step(optimiser: torch.optim.Optimizer, finite: Tensor) -> None:
    """Take one step, or change nothing if the gradient is not finite.

    finite: bool, on the device. AdamW reads it there, so the host does not wait; the others cannot.
    """
    if isinstance(optimiser, torch.optim.AdamW):
        # torch's fused kernel changes nothing if `found_inf` is 1, which is made for loss scaling.
        optimiser.grad_scale, optimiser.found_inf = None, (~finite).float()  # type: ignore[attr-defined]
        optimiser.step()
    elif bool(finite):
        optimiser.step()


def step_size(optimiser: torch.optim.Optimizer) -> float:
    """The step size to report: Prodigy's estimate times the rate, or the rate."""
    group = optimiser.param_groups[0]
    return float(group["lr"] * group.get("d", 1.0))
