"""The interface of everything that makes pictures: this machine's models, a cluster, or ComfyUI servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from .jobs import Job
from .settings import Settings


@dataclass(frozen=True)
class Target:
    """The file for a picture, for backends that write files. quality: of JPEG."""

    file: Path
    digest: str
    quality: int


@dataclass(frozen=True)
class Order:
    """A job with its label map at the picture's size, (H, W) uint8, or None.

    conditions: the further conditions' pictures by kind, (H, W, 3) uint8 at the same size.
    noise: (16, H/8, W/8) to start from; None takes the seed's.
    """

    job: Job
    ids: Tensor | None
    noise: Tensor | None = None
    target: Target | None = None
    conditions: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """The picture is already in its file."""


Made: TypeAlias = "Tensor | Written | Exception"
"""A picture (H, W, 3) uint8, or its error."""


class BackendError(Exception):
    """No more pictures can be made: no server answers, or no model can be loaded. The message says what to do."""


class Backend(Protocol):
    """facts: everything beside the settings on which pictures depend, for the digest."""

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def prepare(self, prompts: Sequence[str]) -> None:
        """Called once with all prompts, before the first picture, so that text encoders can be freed afterwards."""
        ...

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Made]]:
        """Yield each order with its picture or its error, in any sequence.

        Orders are taken from the iterable as they are needed, so that only a few are in memory at once. Raises
        BackendError if no more pictures can be made.
        """
        ...

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any] | None:
        """The same picture as a ComfyUI prompt in API format, for its file; None without one."""
        ...

    def close(self) -> None: ...
