"""Inputs that several nodes share."""

from __future__ import annotations

from comfy_api.latest import io

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
