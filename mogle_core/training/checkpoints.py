"""A run's checkpoints: written aside, synced and renamed, so that a file under its name is a whole one."""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..support.tensor_files import write_torch
from ..support.whole_files import remove_partials

logger = logging.getLogger(__name__)

_NAME = re.compile(r"step_(\d{8})\.pt")


class CheckpointError(ValueError):
    """A checkpoint that cannot be gone on from; the message says why and what to do."""


@dataclass(frozen=True)
class State:
    """All that a run goes on from; everything random is drawn by number and needs no state.

    step: optimiser steps taken. trained, average: by group (`lora`, `network`), a vector each; the average is
        empty where none is kept. optimiser: its state_dict. skipped: steps left out for a gradient that was
        not finite. config: the resolved TOML. fingerprint: of the data. versions: of what computed it.
    """

    step: int
    trained: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Any]
    skipped: int
    config: str
    fingerprint: str
    versions: dict[str, str]


def write(folder: Path, state: State, keep: int) -> Path:
    """Write one more checkpoint; beyond `keep` the oldest go, once the new one is whole."""
    path = folder / f"step_{state.step:08d}.pt"
    write_torch(path, {field.name: getattr(state, field.name) for field in fields(State)})
    for old in steps_of(folder)[:-keep]:
        old.unlink()
    return path


def read(path: Path) -> State:
    """Read one checkpoint onto the CPU; never runs pickled code.

    Raises:
        CheckpointError: it is cut, or no checkpoint of a run.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: loop.resume takes a path, `auto` or `never`.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return State(**found)
    except Exception as error:  # cut bytes make the unpickler fail in any of a dozen ways
        raise CheckpointError(
            f"{path} is cut or no checkpoint of a run ({type(error).__name__}). Delete it to go on from the one "
            "before it. To start from finished weights, set model.init instead."
        ) from error


def newest(folder: Path) -> State | None:
    """The newest checkpoint that can be read, or None; what a stopped writing left behind is removed."""
    remove_partials(folder)
    for path in reversed(steps_of(folder)):
        try:
            return read(path)
        except CheckpointError as error:
            logger.warning("%s", error)
    return None


def steps_of(folder: Path) -> list[Path]:
    """The folder's checkpoints, the oldest first."""
    return sorted(path for path in folder.glob("step_*.pt") if _NAME.fullmatch(path.name))


def fits(folder: Path, bytes_: int) -> float:
    """How many files of so many bytes `folder`'s disk still takes."""
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free / bytes_


def bytes_of(state: State) -> int:
    """About what `write` will put on the disk."""
    tensors = [*state.trained.values(), *state.average.values()]
    for entry in state.optimiser.get("state", {}).values():
        tensors += [value for value in entry.values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) + 2**16
