"""The versions of this package, and of all packages that can affect a result."""

from __future__ import annotations

from importlib import metadata

from .. import __version__

PACKAGES = (
    "torch", "numpy", "Pillow", "einops", "safetensors", "scipy", "scikit-learn", "opencv-python-headless",
    "accelerate", "diffusers", "transformers", "prodigyopt", "bitsandbytes", "torchao", "torch-fidelity", "lpips",
)  # fmt: skip


def version_of(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Versions by package, this one first, without packages that are not installed."""
    found = {package: version_of(package) for package in PACKAGES}
    return {"face-mogle": __version__, **{package: version for package, version in found.items() if version}}
