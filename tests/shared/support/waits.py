"""Where our code reads the value of a tensor on the host. On a GPU this waits for all earlier work."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
# In inference mode an operation that is made of others arrives whole.
READS = (_aten.item, _aten._local_scalar_dense, _aten.is_nonzero, _aten.equal, _aten.nonzero)
OURS = ("/mogle_core/", "/nodes/")


def waits_in(run: Callable[[], object]) -> list[str]:
    """The lines of our code that read a value. Reads by torch, the host or the tests do not count."""
    with _Waits() as waits:
        run()
    return waits.lines


class _Waits(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in READS:
            callers = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename]
            caller = callers[-2]  # the last is this method
            if any(part in caller.filename for part in OURS) and "/tests/" not in caller.filename:
                self.lines.append(f"{caller.filename}:{caller.lineno}")
        return func(*args, **(kwargs or {}))
