"""Reads pictures whose numbers are class ids: checks which numbers can be ids, and diagnoses the others."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from .errors import MaskError, about, percent
from .label_map import LabelMap, mapped
from .label_space import doubt, guess
from .labels import CLASS_NAMES, LABEL_SPACES, NUM_CLASSES

logger = logging.getLogger(__name__)

_WIDENED = 257
"""The factor from 8 to 16 bits: 255 becomes 65535."""

_IGNORED = 255


def from_numbers(values: Tensor, label_space: str) -> LabelMap:
    """Raw ids (B, H, W), after a check that they can be ids. Raises MaskError."""
    low, high = values.min().item(), values.max().item()
    if low < 0 or bool((values != values.round()).any()):
        raise MaskError(_broken(values, low, high))
    if high < NUM_CLASSES:
        return from_ids(values.long(), label_space)
    distinct = torch.unique(values).long()
    step = math.gcd(*distinct.tolist())
    if step == _WIDENED and high / step < NUM_CLASSES and len(distinct) > 2:
        logger.info("The mask's ids were stretched from 8 to 16 bits (times 257) and are read as ids.")
        return from_ids(values.long() // step, label_space)
    raise MaskError(_foreign(values, distinct.tolist(), step))


def _broken(values: Tensor, low: float, high: float) -> str:
    sentence = f"The mask holds numbers from {low:.4g} to {high:.4g} that are not ids; ids are whole, 0 to 18."
    stretched = values * 255
    if low >= 0 and high <= 1 and bool((stretched - stretched.round()).abs().max() < 0.01):
        return f"{sentence} They look like 8-bit ids divided by 255: multiply them by 255."
    return sentence


def _foreign(values: Tensor, distinct: list[int], step: int) -> str:
    """What numbers above 18 look like."""
    high = distinct[-1]
    if len(distinct) <= 2:
        return (
            f"A black-and-white mask (values {distinct[0]} and {high}) marks one region only; a label map of "
            "all the face's classes is needed. Paint the region into one with Set Region."
        )
    if high == _IGNORED and distinct[-2] < NUM_CLASSES:
        share = percent((values == high).double().mean().item())
        return (
            f"{share} of the mask's pixels hold 255, the others ids up to {distinct[-2]}: many data sets write 255 "
            "where pixels are to be ignored, such as along borders. Give these pixels a class, 0 for background."
        )
    if step > 1 and high // step < NUM_CLASSES and len(distinct) > 3:
        return (
            f"The mask's values, up to {high}, are all multiples of {step}: these look like ids multiplied by {step} "
            "so that one can see them. Divide them again; ids run from 0 to 18."
        )
    if high <= 2 * NUM_CLASSES:
        return (
            f"A mask with ids up to {high}; CelebAMask-HQ has 0 to 18, and no known label space more. "
            "Map its classes to CelebAMask-HQ's before loading it."
        )
    return (
        f"A grey mask with values up to {high}: ids run from 0 to 18. It looks like a colour mask that "
        "was turned to grey; save it in colour."
    )


def from_ids(raw: Tensor, label_space: str) -> LabelMap:
    """The map of raw ids (B, H, W) from 0 to 18, with a warning in the log if they do not look like a face.

    Raises MaskError if `auto` would have to guess from one or two classes.
    """
    space = guess(raw) if label_space == "auto" else label_space
    if space is None:
        raise MaskError(_too_few(raw))
    if label_space == "auto":
        logger.info("Raw ids without a named label space: read as %s.", space)
    result = LabelMap(mapped(raw, space), space)
    if (sentence := doubt(raw, space)) is not None:
        logger.warning("%s%s", about(), sentence)
    return result


def _too_few(raw: Tensor) -> str:
    drawn = [number for number in torch.unique(raw).tolist() if number]
    ids = " and ".join(map(str, drawn))
    meanings = "; ".join(
        f"{space}: {' and '.join(CLASS_NAMES[table[number]] for number in drawn)}"
        for space, table in LABEL_SPACES.items()
        if drawn[-1] < len(table)
    )
    return (
        f"Besides 0, the mask holds only {'id' if len(drawn) == 1 else 'ids'} {ids}, which is too little to guess "
        f"whose numbers they are. Choose the label space ({meanings})."
    )
