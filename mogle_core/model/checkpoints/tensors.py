"""Reads the tensors of a .safetensors file or of a pickled state dict, and never runs pickled code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...support.errors import WeightsError
from ...support.other_files import other_kind

SAFE_ENDINGS = (".safetensors", ".sft")

LARGER, SLACK = 2, 1 << 20
"""Limits on the bytes of a file's tensors: a multiple of the file's size, and an allowance on top."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a .safetensors or a pickled state dict, and the metadata; never runs pickled code."""
    if not path.is_file():
        raise WeightsError(f"There is no file {path.name} in {path.parent}.")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path.name} is empty: the download or copy did not finish.")
    safe = path.suffix.lower() in SAFE_ENDINGS
    if (kind := other_kind(path, safe)) is not None:
        raise WeightsError(f"{path.name} is {kind}.")
    if safe:
        return _read_safetensors(path)
    return _read_pickle(path)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(
            f"{path.name} is truncated or not a .safetensors file ({error}): download or copy it again."
        ) from error
    except OSError:
        raise
    except Exception as error:  # sizes and number formats that torch lacks fail in many ways
        raise WeightsError(
            f"{path.name} holds tensors of a size or number format that this torch cannot read ({error})."
        ) from error


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    _refuse_packed(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path.name} holds more than weights, or no weights at all, and was not opened: loading it "
            "could run code. Use the official mogle.pt, or convert it to .safetensors."
        ) from error
    except Exception as error:  # cut bytes make the unpickler fail in any of a dozen ways
        raise WeightsError(
            f"{path.name} is truncated or not a PyTorch file ({type(error).__name__}): download it again."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{path.name} holds a {type(state).__name__} that is not a plain state dict.")
    tensors = {str(name): tensor for name, tensor in state.items()}
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
            raise WeightsError(f"{path.name}: {name[:160]!r} is {_kind(tensor)}; a checkpoint holds plain tensors.")
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > LARGER * path.stat().st_size + SLACK:
        raise WeightsError(
            f"{path.name} claims {claimed:,} bytes of tensors in a file of {path.stat().st_size:,}: it was crafted, or "
            "its tensors share their memory. Save it as .safetensors."
        )
    return tensors, {}


def _refuse_packed(path: Path) -> None:
    """Refuse a zip that unpacks to far more than its size; torch does not compress its files."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise WeightsError(f"{path.name} is truncated or not a PyTorch file ({error}): download it again.") from error
    if size > LARGER * path.stat().st_size + SLACK:
        raise WeightsError(
            f"{path.name} is packed and would unpack to {size:,} bytes; a PyTorch file is not packed, so it was not "
            "opened."
        )


def _kind(tensor: Tensor) -> str:
    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_meta:
        return "without data (on the meta device)"
    return "sparse" if "sparse" in str(tensor.layout) else f"of layout {tensor.layout}"
