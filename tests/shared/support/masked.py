"""A small portrait with a mask: sizes, prompts, label maps, and a sampling run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from support import tiny

WIDTH, HEIGHT = 96, 64
TOKENS = HEIGHT * WIDTH // 256
POSITIVE = tiny.conditioning(1)
NEGATIVE = tiny.conditioning(2)
REGION = {"region": "hair", "strength": 0.4, "start_percent": 0.0, "end_percent": 1.0}


def mask_ids(seed: int, width: int = WIDTH, height: int = HEIGHT, batch: int = 1) -> Tensor:
    """A label map of blocks. With a random VAE and random weights any ids will do."""
    ids = torch.randint(0, 19, (batch, height // 16, width // 16), generator=torch.Generator().manual_seed(seed))
    return ids.repeat_interleave(16, 1).repeat_interleave(16, 2).to(torch.uint8)


def ids_with_squares(seed: int, *squares: tuple[int, int], batch: int = 1) -> Tensor:
    """A label map of blocks, with squares of one class, 32 pixels wide, at these rows and columns."""
    ids = mask_ids(seed, batch=batch)
    for row, column in squares:
        ids[:, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 13
    return ids


MERGEABLE = ids_with_squares(1, (0, 1), (1, 1)), ids_with_squares(2, (1, 2))
"""Two label maps. Two squares of tokens can be merged in the first, and one in the second."""


def run(model: Any, positive: list, negative: list | None = None, batch: int = 1, **settings: Any) -> Tensor:
    return tiny.sample(model, positive, negative, tiny.empty_latent(HEIGHT, WIDTH, batch), **{"steps": 3, **settings})


def as_file(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """From 0.14 on, the parameters of the q and k norms are called `weight`; in files they are `scale`."""
    return {name.replace("_norm.weight", "_norm.scale"): tensor for name, tensor in weights.items()}
