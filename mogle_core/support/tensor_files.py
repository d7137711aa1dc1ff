"""Writes files of tensors atomically: a file is complete or absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .whole_files import written_aside


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name, of any device and layout, and metadata. No two tensors may share memory."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_aside(path) as partial:
        save_file(flat, partial, dict(metadata) if metadata is not None else None)


def write_torch(path: Path, content: Any) -> None:
    """Write a file for `torch.load(…, weights_only=True)`: tensors, plain values, and containers of them."""
    # Through a Python file, because with a path torch does not say why writing failed.
    with written_aside(path) as partial, partial.open("wb") as file:
        torch.save(content, file)
