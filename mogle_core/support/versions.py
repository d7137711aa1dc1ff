"""What computed a result: the versions of this package, and of all packages that can move a number."""

from __future__ import annotations

from importlib import metadata

from .. import __version__

PACKAGES = (
    "torch", "numpy", "Pillow", "einops", "safetensors", "scipy", "scikit-learn", "opencv-python-headless",
    "accelerate", "diffusers", "transformers", "prodigyopt", "bitsandbytes", "torchao", "torch-fidelity", "lpips",
)  # fmt: skip


def version_of(package: str) -> str | None:
    """None if the package is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Version by package, this one first; those that are not installed are left out."""
    found = {package: version_of(package) for package in PACKAGES}
    return {"face-mogle": __version__, **{package: version for package, version in found.items() if version}}
