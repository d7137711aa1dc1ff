"""Reads image files from memory, and writes those that ship with the extension."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image


def read_rgb(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file)).convert("RGB")


def save_jpeg(path: Path, image: Image.Image) -> None:
    """Save as a small JPEG, because it is uploaded to the Comfy Registry. Prints its name, its size and its bytes."""
    image.save(path, quality=70, optimize=True, progressive=True)
    print(path.stem, image.size, path.stat().st_size, flush=True)
