"""What computed a result: versions of the packages that can move a number."""

from __future__ import annotations

from importlib import metadata

import torch

from .. import __version__

_PACKAGES = ("accelerate", "prodigyopt", "bitsandbytes", "torchao", "safetensors", "numpy")


def versions() -> dict[str, str]:
    """By package; what is not installed is left out."""
    found = {"face-mogle": __version__, "torch": str(torch.__version__)}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
