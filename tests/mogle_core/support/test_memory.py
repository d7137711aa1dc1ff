"""Which errors mean that memory ran out."""

from __future__ import annotations

from mogle_core.support.memory import is_out_of_memory


def test_errors_of_every_backend_that_runs_out_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
