"""The tensors of a .safetensors file or of a pickled state dict; pickled code never runs."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...support.errors import WeightsError


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a .safetensors or a pickled state dict, and the metadata; never runs pickled code."""
    if not path.is_file():
        raise WeightsError(f"There is no file {path.name} in {path.parent}.")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path.name} is empty: the download or copy did not finish.")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(
            f"{path.name} is truncated or no .safetensors file ({error}): download or copy it again."
        ) from error


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path.name} holds more than weights, or no weights at all, and was not opened: loading it "
            "could run code. Use the official mogle.pt, or convert it to .safetensors."
        ) from error
    except Exception as error:  # cut bytes make the unpickler fail in any of a dozen ways
        raise WeightsError(
            f"{path.name} is truncated or no PyTorch file ({type(error).__name__}): download it again."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{path.name} holds a {type(state).__name__} that is not a plain state dict.")
    return {str(name): tensor for name, tensor in state.items()}, {}
