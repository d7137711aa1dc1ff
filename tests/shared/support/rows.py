"""What a part of a long benchmark finds: one JSON line at a time, so that nothing is lost when it breaks off."""

from __future__ import annotations

import gc
import json
import math
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import torch
from torch import Tensor


@dataclass
class Rows:
    """Where a part writes to. small: the reduced geometry. deadline: when the part is ended, by `time.monotonic`."""

    part: str
    device: torch.device
    small: bool
    deadline: float
    answers: IO[str]

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def left(self) -> float:
        """Seconds until the part is ended."""
        return self.deadline - time.monotonic()

    def tell(self, what: str, value: float | str | None, unit: str = "", **more: Any) -> None:
        """A figure that is neither right nor wrong."""
        self._write(what, value=value, unit=unit, **more)

    def check(self, what: str, value: float, limit: float, unit: str = "", **more: Any) -> None:
        """A figure that has to be finite and not above its limit."""
        fine = math.isfinite(value) and value <= limit
        self._write(what, value=value, unit=unit, limit=limit, ok=fine, **more)

    def holds(self, what: str, fine: bool, **more: Any) -> None:
        self._write(what, ok=bool(fine), **more)

    def skip(self, what: str, why: str) -> None:
        """Something that cannot be measured here; no failure."""
        self._write(what, note=f"not measured: {why}")

    def time_for(self, what: str, seconds: float) -> bool:
        """Whether there is time for something that takes so long on a card; if not, it is not measured."""
        if self.small or seconds <= self.left():
            return True
        self.skip(what, f"{self.left():.0f} s were left, and it takes about {seconds:.0f}")
        return False

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """What goes wrong inside is one row that failed, and the part goes on. Without a package it is not measured."""
        try:
            yield
        except ModuleNotFoundError as error:
            self.skip(what, str(error))
        except Exception as error:
            traceback.print_exc()
            self._write(what, ok=False, note=f"{type(error).__name__}: {error}"[:500])
        finally:
            gc.collect()
            if self.cuda:
                torch.cuda.empty_cache()

    def _write(self, what: str, **values: Any) -> None:
        print(json.dumps({"part": self.part, "what": what, **values}), file=self.answers, flush=True)


def relative(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference in units of the expected one's; not finite if either is not."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    return float((found - expected).norm() / expected.norm())


def largest(found: Tensor, expected: Tensor) -> float:
    """The largest difference of two numbers."""
    return float((found.detach().double().cpu() - expected.detach().double().cpu()).abs().max())


def answering() -> IO[str]:
    """Standard output for rows alone: what libraries print goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    return answers
