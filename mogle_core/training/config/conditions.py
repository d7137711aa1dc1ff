"""The section of further conditions: which the network has beside the masks, and where their pictures come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, field_validator

from ...model.conditions import KINDS
from .section import Positive, Section, Share, as_tuple, check_known

DROP = 0.1
"""How often a further condition is left out, unless the section says it."""


class Conditions(Section):
    """Further conditions beside the masks, in the network's order; none, as in the paper.

    folders: by kind, a folder of pictures beside the faces, named as they are. Relative paths start at data.root. A
        kind without a folder is made from photo and mask.
    styles: by kind, how many of the maker's styles are used; a sample's number says which it gets.
    drop: by kind, how often a sample goes without it; 0.1 unless it is stated.
    """

    kinds: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    folders: dict[str, Path] = {}
    styles: dict[str, Positive] = {}
    drop: dict[str, Share] = {}

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            check_known(name, tuple(KINDS))
        if len(set(value)) < len(value):
            raise ValueError("name each kind once")
        return value

    @field_validator("folders", "styles", "drop")
    @classmethod
    def _of_kinds(cls, value: dict[str, Any], found: Any) -> dict[str, Any]:
        for name in value:
            if name not in found.data.get("kinds", ()):
                raise ValueError(f"{name!r} is not among conditions.kinds; add it there, or take it out here")
        return value

    @field_validator("styles")
    @classmethod
    def _at_most(cls, value: dict[str, int]) -> dict[str, int]:
        for name, count in value.items():
            if name in KINDS and count > KINDS[name].styles:
                raise ValueError(f"{name} has {KINDS[name].styles} styles, and {count} are asked for")
        return value

    def count(self, kind: str) -> int:
        """How many pictures of this kind each face has."""
        return 1 if kind in self.folders else self.styles.get(kind, KINDS[kind].styles)

    @property
    def rates(self) -> tuple[float, ...]:
        """How often each kind is left out, in their order."""
        return tuple(self.drop.get(kind, DROP) for kind in self.kinds)
