"""Errors that several packages raise."""

from __future__ import annotations


class WeightsError(ValueError):
    """A file cannot be used; the message names the file, the reason, and what to use instead."""
