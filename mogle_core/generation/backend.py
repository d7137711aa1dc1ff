"""What makes pictures: this machine's models, a cluster, or ComfyUI servers, all behind one interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from .jobs import Job
from .settings import Settings


@dataclass(frozen=True)
class Target:
    """Where a picture is to be written, for backends that write themselves. quality: of JPEG."""

    file: Path
    digest: str
    quality: int


@dataclass(frozen=True)
class Order:
    """A job with its label map at the picture's size, (H, W) uint8, or None.

    noise: (16, H/8, W/8) to start from, where it is not the seed's.
    """

    job: Job
    ids: Tensor | None
    noise: Tensor | None = None
    target: Target | None = None


@dataclass(frozen=True)
class Written:
    """The picture is in its file already."""


Made: TypeAlias = "Tensor | Written | Exception"
"""A picture (H, W, 3) uint8, or what went wrong with it."""


class BackendError(Exception):
    """Nothing more can be made at all: no server answers, no model can be loaded. The message says what to do."""


class Backend(Protocol):
    """facts: what pictures depend on beside their settings, for the digest."""

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def prepare(self, prompts: Sequence[str]) -> None:
        """Called once, before the first picture, with all prompts: text encoders can then be freed."""
        ...

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Made]]:
        """Each order with its picture, or with what went wrong, in any sequence.

        Orders are taken from the iterable as they are needed, so that only a few are in memory at once.
        Raises BackendError where nothing more can be made.
        """
        ...

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any] | None:
        """ComfyUI's API form of the same picture, for its file; None where there is none."""
        ...

    def close(self) -> None: ...
