"""How kept keys are stored: as they are, in 8 bits, or in host memory, from where they travel back block by block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..fp8 import narrowed, widened
from .kept_keys import Kept, Keys

KEY_FORMS = ("auto", "fp8", "host memory")
IN_FLIGHT = 2
"""Blocks whose keys are on the device at once while they wait in host memory: the one in use, and the next."""


@dataclass(frozen=True)
class KeyForm:
    """fp8: float8 with one power of two as scale for each tensor, half of bfloat16. host: in (pinned) host memory."""

    fp8: bool = False
    host: bool = False

    @classmethod
    def of(cls, name: str) -> KeyForm:
        """One of KEY_FORMS; `auto` is the plain form, which a host may leave for host memory where room is short."""
        if name not in KEY_FORMS:
            raise ValueError(f"There is no key_storage {name!r}: choose {' or '.join(KEY_FORMS)}.")
        return cls(fp8=name == "fp8", host=name == "host memory")

    def new(self) -> StoredKeys:
        """An empty set."""
        return StoredKeys(self)

    def stored_bytes(self, total: int, itemsize: int) -> int:
        """Bytes that a set takes where it is stored, if it takes `total` bytes in numbers of `itemsize` bytes."""
        return total // itemsize if self.fp8 else total

    def device_bytes(self, total: int, itemsize: int, blocks: int) -> int:
        """Bytes that such a set takes on the device."""
        stored = self.stored_bytes(total, itemsize)
        return stored * min(IN_FLIGHT, blocks) // blocks if self.host else stored


class StoredKeys:
    """One pass's keys in a form; each block's travel to the device while the block before it computes."""

    def __init__(self, form: KeyForm) -> None:
        self.form = form
        self._stored: dict[str, tuple[Tensor, ...]] = {}
        self._order: dict[str, str] = {}  # the block after each
        self._last: str | None = None
        self._here: dict[str, tuple[Tensor, ...]] = {}
        self._device, self._dtype = torch.device("cpu"), torch.float32
        self._stream: torch.cuda.Stream | None = None
        self._arrived: dict[str, torch.cuda.Event] = {}

    def __len__(self) -> int:
        return len(self._stored)

    def __setitem__(self, block: str, keys: Keys) -> None:
        self._device, self._dtype = keys[0].device, keys[0].dtype
        if self._last is not None:
            self._order[self._last] = block
        self._last = block
        parts = (*narrowed(keys[0]), *narrowed(keys[1])) if self.form.fp8 else keys
        self._stored[block] = tuple(_parked(part) for part in parts) if self.form.host else parts

    def __getitem__(self, block: str) -> Keys:
        parts = self._brought(block) if self.form.host else self._stored[block]
        if not self.form.fp8:
            return parts[0], parts[1]
        return widened(parts[0], parts[1], self._dtype), widened(parts[2], parts[3], self._dtype)

    @property
    def on_device(self) -> int:
        """Bytes on the device now."""
        return _bytes((self._here if self.form.host else self._stored).values())

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _brought(self, block: str) -> tuple[Tensor, ...]:
        """Return a block's keys on the device, and start to copy those of the next block."""
        self._send(block)
        following = self._order.get(block)
        if following is not None:
            self._send(following)
        for gone in [name for name in self._here if name not in (block, following)]:
            del self._here[gone]
        parts = self._here[block]
        if (arrived := self._arrived.pop(block, None)) is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(arrived)
            for part in parts:
                part.record_stream(current)
        return parts

    def _send(self, block: str) -> None:
        if block in self._here:
            return
        if self._device.type != "cuda":
            self._here[block] = tuple(part.to(self._device) for part in self._stored[block])
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        # The copies into host memory, on the stream that computes, must have arrived there.
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            self._here[block] = tuple(part.to(self._device, non_blocking=True) for part in self._stored[block])
            self._arrived[block] = self._stream.record_event()


def device_bytes(kept: Kept) -> int:
    """What a set of keys takes on its device now."""
    return kept.on_device if isinstance(kept, StoredKeys) else 0


def _bytes(blocks: Iterable[tuple[Tensor, ...]]) -> int:
    return sum(part.numel() * part.element_size() for parts in blocks for part in parts)


def _parked(part: Tensor) -> Tensor:
    """Copy to host memory, pinned if a GPU will read it. Does not wait until the copy is done."""
    pinned = part.device.type == "cuda"
    host = torch.empty(part.shape, dtype=part.dtype, pin_memory=pinned)
    return host.copy_(part, non_blocking=pinned)
