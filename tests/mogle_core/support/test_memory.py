"""Which errors are a lack of memory."""

from __future__ import annotations

from mogle_core.support.memory import is_out_of_memory


def test_who_runs_out_of_memory() -> None:
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
