"""Errors that several packages raise."""

from __future__ import annotations


class WeightsError(ValueError):
    """A file that cannot be used; the message names the file, says why, and what to use instead."""
