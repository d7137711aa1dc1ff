"""The error of masks, and shares of pixels in words."""

from __future__ import annotations


class MaskError(ValueError):
    """A mask cannot be used; the message says why, and what to change."""


def percent(share: float) -> str:
    """A share of 1 in percent, with enough digits to differ from zero."""
    if share == 0 or share >= 0.01:
        return f"{share:.0%}".replace("%", " %")
    return "<0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
