"""One checkpoint's file: what it holds, its digest, and the checkpoint that it follows.

The file is what `torch.load` reads, a zip archive. Its digest and its parent's are in the archive's comment, so a
folder's files can be put in order without reading them, and a single flipped bit is noticed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..support.whole_files import written_aside

NAME = re.compile(r"step_(\d{8})\.pt")

_COMMENT = re.compile(rb"mogle parent=([0-9a-f]{64}) sha256=([0-9a-f]{64})")
_NO_PARENT = "0" * 64
_LENGTH = len(f"mogle parent={_NO_PARENT} sha256={_NO_PARENT}")
_DIGEST = 64


class CheckpointError(ValueError):
    """A checkpoint that a run cannot resume from; the message says why and what to do."""


@dataclass(frozen=True)
class State:
    """The state that a run resumes from. Everything random is drawn by number and needs no state.

    step: optimiser steps taken. trained, average: by group (`lora`, `network`), a vector each; the average is
        empty if the run computes none. optimiser: its state_dict. skipped: steps left out for a gradient that was
        not finite. config: the resolved TOML. fingerprint: of the data. versions: of what computed it.
    trains: what is trained, as `Trainables.description` says it; empty in files from before it was stored.
    parent, digest: the digests of the checkpoint before this one, and of this one's file; empty where there is
        none. They are not part of the stored content.
    """

    step: int
    trained: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Any]
    skipped: int
    config: str
    fingerprint: str
    versions: dict[str, str]
    trains: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Link:
    """A checkpoint's file in its run's order. digest, parent: empty in files from before these were stored."""

    path: Path
    step: int
    digest: str = ""
    parent: str = ""


def write_checkpoint(path: Path, state: State) -> str:
    """Write one checkpoint; its digest.

    Raises:
        DiskFullError: and leaves the folder as it was.
    """
    content = {each.name: getattr(state, each.name) for each in fields(State) if each.name not in ("parent", "digest")}
    with written_aside(path) as partial:
        # Through a file of Python's: given a path, torch does not say why a writing failed.
        with partial.open("wb") as file:
            torch.save(content, file)
        return _sign(partial, state.parent or _NO_PARENT)


def _sign(path: Path, parent: str) -> str:
    """Append the archive's comment; the digest in it is of all the bytes before it."""
    with path.open("rb+") as file:
        file.seek(-2, 2)  # the last field of an archive without a comment is the comment's length
        assert file.read() == b"\0\0", "torch writes archives without a comment"
        file.seek(-2, 2)
        file.write(_LENGTH.to_bytes(2, "little") + f"mogle parent={parent} sha256=".encode())
    digest = _digest_of(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(digest.encode())
    return digest


def read(path: Path) -> State:
    """Read one checkpoint onto the CPU; never runs pickled code.

    Raises:
        CheckpointError: it is missing, cut, damaged, or not a checkpoint of a run.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: loop.resume takes a path, `auto` or `never`.")
    link = link_of(path)
    if not link.digest and not _ends_unsigned(path):
        raise CheckpointError(
            f"{path} is cut or damaged: it ends neither with a digest nor as files from before digests do. Delete it "
            "to go on from the checkpoint before it."
        )
    if link.digest and link.digest != _digest_of(path, path.stat().st_size - _DIGEST):
        raise CheckpointError(
            f"{path} is damaged: its content does not have the digest that was stored with it. Delete it to go on "
            "from the checkpoint before it, and check the disk."
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return replace(State(**found), parent=link.parent, digest=link.digest or digest_of(path))
    except Exception as error:  # cut bytes make the unpickler fail in any of a dozen ways
        raise CheckpointError(
            f"{path} is cut or no checkpoint of a run ({type(error).__name__}). Delete it to go on from the one "
            "before it. To start from finished weights, set model.init instead."
        ) from error


def link_of(path: Path) -> Link:
    """What a file's name and its archive's comment say, without reading the rest."""
    match = NAME.fullmatch(path.name)
    step = int(match[1]) if match else -1
    with path.open("rb") as file:
        file.seek(-min(_LENGTH, path.stat().st_size), 2)
        comment = _COMMENT.fullmatch(file.read())
    if comment is None:
        return Link(path, step)
    parent, digest = (part.decode() for part in comment.groups())
    return Link(path, step, digest, "" if parent == _NO_PARENT else parent)


def digest_of(path: Path) -> str:
    """The stored digest, or of a file without one, that of the whole file."""
    return link_of(path).digest or _digest_of(path, path.stat().st_size)


def _ends_unsigned(path: Path) -> bool:
    """Whether the file ends as an archive without a comment does."""
    with path.open("rb") as file:
        file.seek(-min(22, path.stat().st_size), 2)
        end = file.read()
    return end.startswith(b"PK\x05\x06") and end.endswith(b"\0\0")


def _digest_of(path: Path, left: int) -> str:
    """Of the first so many bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(2**22, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def bytes_of(state: State) -> int:
    """About how large the file will be."""
    tensors = [*state.trained.values(), *state.average.values()]
    for entry in state.optimiser.get("state", {}).values():
        tensors += [value for value in entry.values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) + 2**16
