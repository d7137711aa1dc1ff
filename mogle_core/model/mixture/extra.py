"""Experts and weights of further conditions, such as a sketch, beside the 20 masks.

A further condition is one more picture in the same stream: its expert's output is added to the paper's blend, with a
weight of its own for each token and step. The weight is a sigmoid and not one more place in the softmax: there, a
condition that starts small gets hardly any gradient, and one that does not changes the masks' weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..flux_latents import TOKEN_WIDTH

EXPERT_WIDTH = 32
"""The hidden width of every expert, the masks' as well."""


class ExtraExpert(nn.Module):
    """An expert like the masks', whose second layer starts at zero, so that at first it changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(EXPERT_WIDTH, TOKEN_WIDTH)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(TOKEN_WIDTH, EXPERT_WIDTH), nn.ReLU(), last)

    def forward(self, latents: Tensor) -> Tensor:
        """(B, L, 64) -> (B, L, 64)."""
        outputs: Tensor = self.net(latents)
        return outputs


class ExtraWeight(nn.Linear):
    """sigmoid of one number from the gate's hidden layer; it starts at one half everywhere."""

    def __init__(self) -> None:
        super().__init__(TOKEN_WIDTH, 1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, 64) -> (B, L, 1) in 0..1."""
        return torch.sigmoid(super().forward(hidden))


def is_given(latents: Tensor) -> Tensor:
    """Which conditions are given: latents (B, K, L, 64) -> (B, K, 1, 1) bool.

    A condition that is not given has a latent of zeros, which no VAE makes of a picture.
    """
    return (latents != 0).any(-1, keepdim=True).any(-2, keepdim=True)


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError unless all names differ and can be part of a tensor's name."""
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
            raise ValueError(f"{name!r} cannot be the name of a further condition: use small letters, such as sketch.")
    if len(set(names)) < len(names):
        raise ValueError(f"The further conditions are {', '.join(names)}: name each of them once.")
