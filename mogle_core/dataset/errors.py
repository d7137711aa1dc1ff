"""What a data set that cannot be used is told by."""

from __future__ import annotations


class DatasetError(ValueError):
    """A data set that cannot be used; the message names the file and what to do."""
