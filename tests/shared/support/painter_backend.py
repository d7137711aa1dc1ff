"""A backend without models: an image shows its seed and the colours of its mask, so tests can see what a run does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from mogle_core.generation.backend import Order
from mogle_core.generation.settings import Settings


class Painter:
    """A `Backend` that records its requests. broken: names that fail."""

    facts = {"painter": 1}

    def __init__(self, batch: int = 2, broken: Sequence[str] = ()) -> None:
        self.batch, self.broken = batch, broken
        self.made: list[str] = []
        self.prompts: list[str] = []
        self.closed = False

    def prepare(self, prompts: Sequence[str]) -> None:
        self.prompts = list(prompts)

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Tensor | Exception]]:
        waiting = iter(orders)
        while some := list(islice(waiting, self.batch)):
            for order in some:
                self.made.append(order.job.name)
                broken = order.job.name in self.broken
                yield order, RuntimeError("the brush broke") if broken else painted(order, settings)

    def prompt(self, order: Order, settings: Settings) -> dict[str, object]:
        return {"1": {"class_type": "Painter", "inputs": {"seed": order.job.seed}}}

    def close(self) -> None:
        self.closed = True


def painted(order: Order, settings: Settings) -> Tensor:
    generator = torch.Generator().manual_seed(order.job.seed)
    picture = torch.randint(0, 200, (settings.height, settings.width, 3), generator=generator, dtype=torch.uint8)
    return picture if order.ids is None else picture + order.ids[..., None]
