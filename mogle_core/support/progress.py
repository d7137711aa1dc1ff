"""The progress bar of work that a cluster may do: how much, how fast, the time left, and the number of workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from .sentences import counted

if TYPE_CHECKING:
    Bar = tqdm[Any]
else:
    Bar = tqdm

_workers: list[int] = []
"""How many workers the cluster of this process has now; empty without a cluster."""


def show_workers(count: int | None) -> None:
    """Say how many workers there are now; None if the cluster has ended."""
    _workers[:] = [] if count is None else [count]


class Progress(Bar):
    """tqdm with the number of workers, while a cluster works for this process."""

    @property
    def format_dict(self) -> dict[str, Any]:
        shown = dict(super().format_dict)
        if _workers:
            shown["postfix"] = ", ".join(filter(None, (shown.get("postfix"), counted(_workers[0], "worker"))))
        return shown
