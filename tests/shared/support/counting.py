"""Time, floating-point operations, bytes and peak memory of a call, and the speed of the machine's matrix product."""

from __future__ import annotations

import math
import statistics
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Run = Callable[[], object]


@dataclass(frozen=True)
class Counted:
    """operations: floating-point operations. moved: bytes that operations read and wrote. peak: the most bytes alive
    at once, beyond those before the call: from the device's allocator, or on `meta` from the results of operations.
    """

    operations: int
    moved: int
    peak: int


class Bytes(TorchDispatchMode):
    """Counts the bytes that operations read and write, as if in memory, and the most that their results occupy."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, Tensor)]
        for tensor in given:
            self._known.add(tensor.untyped_storage()._cdata)
        out = func(*args, **(kwargs or {}))
        made = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        if not func.is_view:
            self.moved += sum(_size(tensor) for tensor in (*given, *made))
        for tensor in made:
            self._track(tensor.untyped_storage())
        return out

    def _track(self, storage: Any) -> None:
        name, size = storage._cdata, storage.nbytes()
        if name in self._known:
            return
        self._known.add(name)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._free, name, size)

    def _free(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.alive -= size


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _cpu_attention(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], *_: object, **__: object) -> int:
    return int(sdpa_flop_count(q, k, v))


def _added_product(_: object, a: tuple[int, ...], b: tuple[int, ...], **__: object) -> int:
    return 2 * math.prod(a) * b[-1]


def flop_counter() -> FlopCounterMode:
    """torch's counter, extended by a CPU's fused attention and products that are added in place, which it misses."""
    left_out = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention,
        torch.ops.aten.baddbmm_: _added_product,
    }
    return FlopCounterMode(display=False, custom_mapping=left_out)


def operations(run: Run) -> int:
    with flop_counter() as flops:
        run()
    return int(flops.get_total_flops())


def count(run: Run, device: torch.device) -> Counted:
    with flop_counter() as flops, Bytes() as counted:
        run()
    peak = counted.peak if device.type == "meta" else allocated(run, device)
    return Counted(flops.get_total_flops(), counted.moved, peak)


def allocated(run: Run, device: torch.device) -> int:
    """The most bytes that the allocator had handed out at once during the call, including those of kernels."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    assert profiler.profiler is not None and profiler.profiler.kineto_results is not None
    changes = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return max(accumulate(change.nbytes() for change in changes), default=0)


def timed(run: Run, device: torch.device) -> float:
    """Seconds of one call, including the device's work: on a GPU, between two of its events."""
    if device.type == "cuda":
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        first.record()  # type: ignore[no-untyped-call]
        run()
        last.record()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        return float(first.elapsed_time(last)) / 1000  # type: ignore[no-untyped-call]
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_rounds(runs: dict[str, Run], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every run in every round. Runs alternate, so ratios stay valid while the machine's speed drifts."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(timed(run, device))
    return seconds


def ratio(times: list[float], to: list[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(times, to, strict=True))


def matrix_rate(dtype: torch.dtype, device: torch.device, width: int, rows: int = 2048) -> float:
    """Floating-point operations per second that this machine reaches in a large product of this dtype."""
    a, b = (torch.randn(rows, width, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b.T
    seconds = statistics.median(timed(lambda: a @ b.T, device) for _ in range(10))
    return 2 * rows * rows * width / seconds


def bandwidth(device: torch.device, count: int) -> float:
    """Bytes a second, read and written together, in a copy of so many bytes."""
    source = torch.randint(256, (count,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    for _ in range(3):
        target.copy_(source)
    return 2 * count / statistics.median(timed(lambda: target.copy_(source), device) for _ in range(10))
