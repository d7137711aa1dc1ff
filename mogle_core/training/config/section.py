"""What all sections of a configuration share."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def as_tuple(value: Any) -> Any:
    """A list as a tuple; TOML has only lists."""
    return tuple(value) if isinstance(value, list) else value


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The nearest known word as a question, or the list of known words."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def check_known(word: str, known: tuple[str, ...]) -> None:
    """Raises ValueError, with the nearest known word, for a word that is not known."""
    if word not in known:
        raise ValueError(f"{word!r} is unknown; {nearest(word, known)}")


class Section(BaseModel):
    """A table of the file. It is frozen and refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
