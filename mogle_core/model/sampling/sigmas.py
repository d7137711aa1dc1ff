"""FLUX's shifted sigmas and Euler's method, for use without ComfyUI.

A sigma is the share of noise in x_t = (1 - sigma) x0 + sigma noise; the model predicts noise - x0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

BASE_TOKENS, BASE_SHIFT = 256, 0.5
MAX_TOKENS, MAX_SHIFT = 4096, 1.15


def shift_mu(tokens: int) -> float:
    """FLUX's resolution shift: linear in the number of image tokens, 256 -> 0.5 and 4096 -> 1.15."""
    slope = (MAX_SHIFT - BASE_SHIFT) / (MAX_TOKENS - BASE_TOKENS)
    return BASE_SHIFT + slope * (tokens - BASE_TOKENS)


def shift(sigmas: Tensor, mu: float) -> Tensor:
    """exp(mu) / (exp(mu) + 1/sigma - 1), elementwise; it spends more steps on strong noise."""
    return math.exp(mu) / (math.exp(mu) + (1 / sigmas - 1))


def flux_sigmas(steps: int, tokens: int) -> Tensor:
    """The sigmas of `steps` Euler steps for an image of `tokens` tokens: (steps + 1,), from 1 to 0."""
    if steps < 1:
        raise ValueError(f"At least one step is needed, not {steps}.")
    return torch.cat((shift(torch.linspace(1, 1 / steps, steps), shift_mu(tokens)), torch.zeros(1)))


def sigma_at(percent: float, tokens: int) -> float:
    """The sigma after this share (0 to 1) of the sampling, at `tokens` image tokens, as in ComfyUI's percent inputs."""
    if not 0 < percent < 1:
        return float(percent <= 0)
    return float(shift(torch.tensor(1 - percent), shift_mu(tokens)))


def euler(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, sigmas: Tensor) -> Iterator[Tensor]:
    """Integrate from noise to picture; yields the latent after each step.

    Args:
        velocity: (x_t, sigma (B,)) -> predicted noise - x0, of x_t's shape.
        noise: (B, ...), the latent at sigmas[0].
        sigmas: (steps + 1,), falling.
    """
    x = noise
    for sigma, following in zip(sigmas[:-1], sigmas[1:], strict=True):
        x = x + (following - sigma).to(x) * velocity(x, sigma.to(x).expand(x.shape[0]))
        yield x


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance. FLUX.1-dev's distilled guidance is an input of the model and does not need it."""
    return unconditional + scale * (conditional - unconditional)
