"""The core's tests compute on tiny tensors, which one thread does several times faster than many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def inference() -> Iterator[None]:
    """For tests of what a model computes, not of how it learns."""
    with torch.no_grad():
        yield
