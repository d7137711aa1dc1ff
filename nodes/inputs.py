"""Inputs that several nodes share."""

from __future__ import annotations

from collections.abc import Callable

from comfy_api.latest import io

from ..mogle_core.model.flux_latents import TOKEN_PIXELS
from . import host


def strength(tooltip: str) -> io.Float.Input:
    """A factor, by default 1."""
    return io.Float.Input("strength", default=1.0, min=0.0, max=2.0, step=0.05, tooltip=tooltip)


def strength_of_blocks(name: str, tooltip: str) -> io.Float.Input:
    """A factor on the strength in the blocks of one kind."""
    advanced = host.newer_input_fields(advanced=True)
    return io.Float.Input(name, default=1.0, min=0.0, max=2.0, step=0.05, optional=True, tooltip=tooltip, **advanced)


def percent(name: str, default: float, tooltip: str) -> io.Float.Input:
    """A fraction of the sampling: 0 is its start, 1 its end."""
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip)


def side(name: str, at_zero: str) -> io.Int.Input:
    """name: `width` or `height`. at_zero: the end of the tooltip, which says whose size a 0 uses."""
    return io.Int.Input(
        name, default=0, min=0, max=16384, step=TOKEN_PIXELS,
        tooltip=f"{name.title()} of the image to generate, a multiple of {TOKEN_PIXELS}. 0 uses {at_zero}.",
    )  # fmt: skip


def sampled_latent() -> io.Latent.Input:
    return io.Latent.Input(
        "latent",
        optional=True,
        tooltip="The latent that will be sampled. If connected, its size is used and width and height are ignored.",
    )


def is_valid(name: str | None, complaint: Callable[[str], str | None]) -> bool | str:
    """The answer of `validate_inputs` for a file's name. None: it is linked, and only known when the node runs.

    complaint: the sentence about a name that is not offered, None for one that is.
    """
    return name is None or complaint(name) or True
