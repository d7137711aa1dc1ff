"""What every kind of further condition has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

ABSENT = 0.0
"""The value of all latents of a missing condition. No VAE produces it, not even for a black picture."""


@dataclass(frozen=True)
class Kind:
    """A further condition: its name in checkpoints, configurations and nodes, and how its picture is made.

    title: for people. about: what its input may be, a sentence for a tooltip.
    picture: from an input (B, H, W, 3) in 0..1 to the picture that is encoded, (B, h, w, 3), at `size` (h, w).
    make: from a photo (H, W, 3) in 0..1, its label map (H, W) and the number of a style to the picture (H, W, 3).
    styles: how many styles `make` has. mirror: from pictures (B, h, w, 3) to those of the mirrored faces.
    is_drawn: whether an input is such a picture already, where `picture` also takes label maps; None where it does not.
    """

    name: str
    title: str
    about: str
    picture: Callable[[Tensor, tuple[int, int]], Tensor]
    make: Callable[[Tensor, Tensor, int], Tensor]
    styles: int = 1
    mirror: Callable[[Tensor], Tensor] = lambda pictures: pictures.flip(-2)
    is_drawn: Callable[[Tensor], bool] | None = None
