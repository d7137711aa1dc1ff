"""The error of data sets that cannot be used."""

from __future__ import annotations


class DatasetError(ValueError):
    """A data set cannot be used; the message names the file and what to do."""
