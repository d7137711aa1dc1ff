"""Checkpoint files for tests: the reference's network and LoRA, and how a file is written, compared and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mogle_core.model.checkpoints.files import read, read_lora, read_network
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.stream.lora import MaskLoRA
from mogle_core.support.errors import WeightsError

from .places import DATA

NETWORK, LORA = DATA / "golden/global_local_mask_moe.pt", DATA / "golden/pytorch_lora_weights.safetensors"


def network() -> MoGLE:
    return read_network(NETWORK).network


def lora() -> MaskLoRA:
    return read_lora(LORA).lora


def same(ours: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = ours.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stored(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    """Write the tensors in the form that the path's ending names."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, metadata)
    else:
        torch.save(tensors, path)
    return path


def refused(path: Path, sentence: str, reader: object = read) -> None:
    """Check that the reader's error contains the sentence and the name of the file."""
    with pytest.raises(WeightsError, match=sentence) as caught:
        reader(path)  # type: ignore[operator]
    assert path.name in str(caught.value)
