"""The error class for masks, shares of pixels in words, and the name of the file in a warning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_FILE: ContextVar[Path | None] = ContextVar("file", default=None)


class MaskError(ValueError):
    """A mask cannot be used; the message says why, and what to change."""


@contextmanager
def warnings_of(file: Path) -> Iterator[None]:
    """In this context, warnings about a mask begin with the name of its file."""
    token = _FILE.set(file)
    try:
        yield
    finally:
        _FILE.reset(token)


def about() -> str:
    """The beginning of a warning: `masks/7.png: ` for a mask from a file, nothing for one in a node."""
    file = _FILE.get()
    return f"{file}: " if file is not None else ""


def percent(share: float) -> str:
    """A share of 1 in percent, with enough digits to differ from zero."""
    if share == 0 or share >= 0.01:
        return f"{share:.0%}".replace("%", " %")
    return "<0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
