"""Checks this machine: versions of Python and packages, and devices. It works without torch."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec

from ... import __version__
from ...support.versions import version_of
from .findings import Finding

REQUIRED = ("torch", "numpy", "Pillow", "einops", "safetensors")
OF_THE_EXTRA = ("opencv-python-headless", "scipy", "pydantic", "diffusers", "transformers", "accelerate", "httpx")
OPTIONAL = ("torchao", "bitsandbytes", "ray", "wandb", "tensorboard")
OLDEST_TORCH = (2, 4)


def machine() -> Iterator[Finding]:
    """The versions of this package, Python and the packages, and the devices."""
    yield Finding("face-mogle", __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})")
    for name in (*REQUIRED, *OF_THE_EXTRA):
        yield _package(name, 'In the folder of this repository: pip install -e ".[headless]"')
    for name in OPTIONAL:
        found = version_of(name)
        if found is not None:
            yield Finding(name, found)
    if find_spec("torch") is not None:
        yield from _devices()


def _package(name: str, remedy: str) -> Finding:
    found = version_of(name)
    if found is None:
        return Finding(name, f"It is not installed. {remedy}", "missing")
    if name == "torch" and _numbers(found) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        return Finding(name, f"Version {found} is older than {oldest}, which is the oldest that works.", "wrong")
    return Finding(name, found)


def _devices() -> Iterator[Finding]:
    """The accelerators that torch sees, with their memory, and the processor."""
    import torch

    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield Finding(f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB")
    if torch.backends.mps.is_available():
        yield Finding("mps", "Apple")
    threads = torch.get_num_threads()
    yield Finding("cpu", f"{threads} {'thread' if threads == 1 else 'threads'}")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split(".")[:2] if part.isdecimal())
