"""Encoders' weights on disk: single files or sharded folders, their shapes, and a fingerprint of their contents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...support.other_files import other_kind
from ...support.texts import TextError, read_json_file
from ..fp8 import FP8_NOTES, FP8_SCALES, widened
from .api import EncodersError

_PIECE, _PIECES = 1 << 16, 64


def weight_files(path: Path, what: str) -> tuple[Path, ...]:
    """The .safetensors of a model that is a file or a folder.

    Raises:
        EncodersError: there are none.
    """
    if path.is_file():
        if path.suffix.lower() not in (".safetensors", ".sft"):
            raise EncodersError(f"{path}: {what} is read from .safetensors only; use such a file or a folder.")
        return (path,)
    files = tuple(sorted(path.glob("*.safetensors"))) if path.is_dir() else ()
    if not files:
        raise EncodersError(f"There is nothing for {what} at {path}: expected .safetensors or a folder with some.")
    # A folder may hold the same weights in several precisions, the others marked as variants.
    plain = tuple(file for file in files if not any(mark in file.name for mark in (".fp16.", ".bf16.", ".fp32.")))
    return plain or files


def file_fingerprint(files: Sequence[Path], *settings: object) -> str:
    """A digest of the files' sizes, headers, and 64 pieces of each: cheap for 10 GB, and changed by any retraining."""
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for path in files:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            header = min(int.from_bytes(file.read(8), "little"), size, 1 << 26)
            digest.update(file.read(header))
            step = max(_PIECE, (size - header) // _PIECES)
            for start in range(8 + header, size, step):
                file.seek(start)
                digest.update(file.read(_PIECE))
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file. Raises EncodersError for anything else."""
    try:
        content = read_json_file(path)
    except (OSError, TextError) as error:
        raise EncodersError(f"{error} Download it again.") from error
    return content if isinstance(content, dict) else {}


@dataclass(frozen=True)
class Weights:
    """The tensors of some files, under their names there. 8-bit floats are multiplied by their scales on reading."""

    files: tuple[Path, ...]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """All shapes, without reading a tensor."""
        shapes = {}
        with ExitStack() as stack:
            for file in self._open(stack):
                names: Sequence[str] = file.keys()
                shapes.update({name: tuple(file.get_slice(name).get_shape()) for name in names})
        return {name: shape for name, shape in shapes.items() if not name.endswith((*FP8_NOTES, *FP8_SCALES))}

    def tensors(self, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """Yield names and tensors one after the other, with floats in this dtype."""
        with ExitStack() as stack:
            for file in self._open(stack):
                names: Sequence[str] = file.keys()
                known = set(names)
                for name in names:
                    if not name.endswith((*FP8_NOTES, *FP8_SCALES)):
                        yield name, _in_dtype(file, name, known, dtype)

    def _open(self, stack: ExitStack) -> Iterator[Any]:
        for path in self.files:
            try:
                yield stack.enter_context(safe_open(path, "pt"))
            except (SafetensorError, OSError) as error:
                if path.is_file() and (kind := other_kind(path, safe=True)) is not None:
                    raise EncodersError(f"{path} is {kind}.") from error
                raise EncodersError(
                    f"{path} is truncated or not a .safetensors file ({error}): download or copy it again."
                ) from error


def _in_dtype(file: Any, name: str, known: set[str], dtype: torch.dtype) -> Tensor:
    tensor: Tensor = file.get_tensor(name)
    if not tensor.is_floating_point():
        return tensor
    scale_name = next((n for end in FP8_SCALES if (n := name.removesuffix(".weight") + end) in known), None)
    if tensor.element_size() > 1 or scale_name is None:
        return tensor.to(dtype)
    return widened(tensor, file.get_tensor(scale_name), dtype, within=torch.float32)


def load_into(model: torch.nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load these tensors into a model on the meta device.

    Raises:
        EncodersError: one is missing or has another shape. Unknown tensors are ignored.
    """
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise EncodersError(f"{what} lacks {len(missing)} tensors (first: {missing[0]}); this is another model.")
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            shape, expected = tuple(tensors[name].shape), tuple(tensor.shape)
            raise EncodersError(f"{what}: {name} is {shape}, expected {expected}; this is another model.")
    model.load_state_dict({name: tensors[name] for name in wanted}, assign=True)
