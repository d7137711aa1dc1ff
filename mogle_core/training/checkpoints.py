"""A run's checkpoints as a chain: each names its parent, and a pointer file names the last.

A run's folder holds one chain. A run that goes on from an older checkpoint begins a new branch there; the
checkpoints that are not before it are moved to `set_aside_1`, `set_aside_2`, … and kept. Times of files mean nothing.
"""

from __future__ import annotations

import json
import logging
import shutil
from itertools import count
from pathlib import Path

from ..support.whole_files import DiskFullError, remove_partials, write_whole
from .checkpoint_file import NAME, CheckpointError, Link, State, bytes_of, digest_of, link_of, read, write_checkpoint

__all__ = [
    "CheckpointError",
    "State",
    "bytes_of",
    "digest_of",
    "fits",
    "make_room",
    "newest",
    "read",
    "steps_of",
    "write",
]

logger = logging.getLogger(__name__)

POINTER = "newest.json"


def write(folder: Path, state: State, keep: int) -> Path:
    """Write the chain's next checkpoint, then remove the oldest beyond `keep`.

    state.parent: the digest of the checkpoint that this one follows; empty follows all of smaller steps. Where the
    disk is full, older checkpoints of the chain make room, except the last.

    Raises:
        DiskFullError: there is no room for a second checkpoint. The last one is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _begin_branch(folder, state)
    path = folder / f"step_{state.step:08d}.pt"
    while True:
        try:
            digest = write_checkpoint(path, state)
            break
        except DiskFullError:
            if not make_room(folder):
                raise
    try:
        _point_to(folder, path.name, digest)
    except DiskFullError as error:  # the checkpoint names its parent, so `newest` finds it from the old pointer
        logger.warning("%s", error)
    for old in _links(folder)[:-keep]:
        old.path.unlink()
    return path


def newest(folder: Path) -> State | None:
    """The last written checkpoint that can be read, or None. What a stopped writing left is removed.

    Only for the holder of the run's lock, for the partial files of a running process would go as well.
    """
    remove_partials(folder)
    present = _links(folder)
    tip = _tip(folder, present)
    for link in reversed(present[: present.index(tip) + 1] if tip else []):
        try:
            return read(link.path)
        except CheckpointError as error:
            logger.warning("%s", error)
    return None


def steps_of(folder: Path) -> list[Path]:
    """The chain's checkpoints, the oldest first; not those set aside."""
    return sorted(path for path in folder.glob("step_*.pt") if NAME.fullmatch(path.name))


def make_room(folder: Path) -> bool:
    """Remove the oldest checkpoint of the chain, unless it is the only one; whether one was removed."""
    older = steps_of(folder)[:-1]
    for path in older[:1]:
        logger.warning("The disk of %s is full: %s is removed to make room.", folder, path.name)
        path.unlink()
    return bool(older)


def fits(folder: Path, bytes_: int) -> float:
    """How many files of `bytes_` bytes have room on the disk of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free / bytes_


def _links(folder: Path) -> list[Link]:
    return [link_of(path) for path in steps_of(folder)]


def _tip(folder: Path, present: list[Link]) -> Link | None:
    """The checkpoint that the pointer names, or one that was written after it, just before a kill."""
    try:
        pointer = json.loads((folder / POINTER).read_text("utf-8"))
        named = pointer["file"], pointer["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        named = None
    tip = next((link for link in present if (link.path.name, link.digest) == named), None)
    if tip is None:
        return present[-1] if present else None
    while child := next((link for link in present if tip.digest and link.parent == tip.digest), None):
        tip = child
    return tip


def _point_to(folder: Path, name: str, digest: str) -> None:
    write_whole(folder / POINTER, json.dumps({"file": name, "sha256": digest}) + "\n")


def _begin_branch(folder: Path, state: State) -> None:
    """Set aside the checkpoints that are not before this state: those of a branch that the run has left."""
    present = _links(folder)
    before = _before(present, state)
    left = present[len(before) :]
    if not left:
        return
    if before:
        _point_to(folder, before[-1].path.name, before[-1].digest)
    aside = next(place for number in count(1) if not (place := folder / f"set_aside_{number}").exists())
    aside.mkdir()
    for link in reversed(left):  # the newest first: whenever a kill comes, the folder holds one chain
        link.path.rename(aside / link.path.name)
    names = ", ".join(link.path.name for link in left)
    logger.warning("%s: this run goes on from an earlier step, so they were moved to %s.", names, aside)


def _before(present: list[Link], state: State) -> list[Link]:
    """Those from the first to the state's parent, by digest: two branches may have files of one name."""
    if not state.parent:
        return [link for link in present if link.step < state.step]
    for number, link in enumerate(present):
        if link.step < state.step and (link.digest or digest_of(link.path)) == state.parent:
            return present[: number + 1]
    return []
