"""Scores that another program gave to pictures, by name: `name,score` in a .csv or .jsonl."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from ..dataset.layouts import PICTURE_SUFFIXES
from ..dataset.tables import rows
from ..support.texts import composed

_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]{1,5})?")
"""A number as it is written in tables. Python's `float` also accepts underscores and the digits of other scripts."""


def read_named_scores(path: Path) -> dict[str, float]:
    """Scores by the pictures' names without ending.

    Raises ValueError with the line that is wrong: no name or score, a score that is not a finite number, a name twice.
    """
    scores: dict[str, float] = {}
    for number, row in rows(path):
        where = f"{path.name}, line {number}"
        for column in ("name", "score"):
            if column not in row:
                raise ValueError(f"{where}: there is no column {column}; expected a head with name and score.")
        name, score = picture_name(row["name"]), finite(row["score"])
        if score is None or not name:
            raise ValueError(
                f"{where}: name {row['name']!r:.80} and score {row['score']!r:.80}; expected a picture's name and a "
                "number."
            )
        if name in scores:
            raise ValueError(f"{where}: {name} was given before.")
        scores[name] = score
    if not scores:
        raise ValueError(f"{path.name} holds no scores.")
    return scores


def picture_name(name: Any) -> str:
    """A picture's name in the tables: without a file ending, with forward slashes, in composed Unicode (NFC).

    Empty for what is neither a text nor a whole number.
    """
    if not isinstance(name, (str, int)) or isinstance(name, bool):
        return ""
    name = str(name)
    plain = composed(name.strip().replace("\\", "/")).removeprefix("./")
    ending = next((suffix for suffix in PICTURE_SUFFIXES if plain.lower().endswith(suffix)), "")
    return plain[: len(plain) - len(ending)]


def finite(value: Any) -> float | None:
    """The value as a number, a comma for its point allowed in text; None for anything else, NaN and infinity."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return None
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
