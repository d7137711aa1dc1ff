"""What makes pictures: this machine's models, or ComfyUI servers. The run knows no more of them than this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .jobs import Job
from .settings import Settings


@dataclass(frozen=True)
class Order:
    """A job with its label map at the picture's size, (H, W) uint8, or None.

    noise: (16, H/8, W/8) to start from, where it is not the seed's.
    """

    job: Job
    ids: Tensor | None
    noise: Tensor | None = None


class BackendError(Exception):
    """Nothing more can be made at all: no server answers, no model can be loaded. The message says what to do."""


class Backend(Protocol):
    """facts: what pictures depend on beside their settings, for the digest. batch: orders that it takes at a time."""

    @property
    def facts(self) -> Mapping[str, Any]: ...

    @property
    def batch(self) -> int: ...

    def prepare(self, prompts: Sequence[str]) -> None:
        """Told once, before the first picture, what will be asked for: text encoders can then be freed."""
        ...

    def make(self, orders: Sequence[Order], settings: Settings) -> Iterator[Tensor | Exception]:
        """A picture (H, W, 3) uint8 for each order, in their order, or what went wrong with it.

        Raises BackendError where going on makes no sense.
        """
        ...

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any] | None:
        """ComfyUI's API form of the same picture, for its file; None where there is none."""
        ...

    def close(self) -> None: ...
