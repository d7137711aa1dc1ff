"""What computed a result: the versions of this package, and of all packages that can move a number."""

from __future__ import annotations

from importlib import metadata

from .. import __version__

PACKAGES = (
    "torch", "numpy", "Pillow", "einops", "safetensors", "scipy", "scikit-learn", "opencv-python-headless", "accelerate",
    "diffusers", "transformers", "prodigyopt", "bitsandbytes", "torchao", "torch-fidelity", "lpips",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Version by package, this one first; those that are not installed are left out."""
    installed = {"face-mogle": __version__}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
