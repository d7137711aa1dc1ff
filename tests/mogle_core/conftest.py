"""Settings for the core's tests: their tensors are tiny, and one thread is several times faster than many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from mogle_core.generation.settings import Settings
from mogle_core.toy.registration import register_toy

register_toy()  # as the commands do: the word "toy" in a configuration


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def inference() -> Iterator[None]:
    """Turns off gradients, for tests that only run a model."""
    with torch.no_grad():
        yield


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of ten masks of 32 x 32, 0.png to 9.png, as raw ids, which are fastest to read."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number in range(10):
        ids = torch.zeros(32, 32, dtype=torch.uint8)
        ids[8:24, 8 : 12 + number] = 1
        Image.fromarray(ids.numpy()).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def small() -> Settings:
    return Settings(width=32, height=32, steps=1, label_space="celebamask")
