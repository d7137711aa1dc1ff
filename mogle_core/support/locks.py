"""Folders that one process at a time may change, with the name of the process that does."""

from __future__ import annotations

import getpass
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .whole_files import write_whole


class LockedError(RuntimeError):
    """Another process holds a lock; the message names it."""


@contextmanager
def sole_owner(lock: Path) -> Iterator[None]:
    """Hold the lock `lock` inside the block; it is free again when the process ends, however it ends.

    Beside it, `lock`.owner says who holds it.

    Raises:
        LockedError: another process holds it; the message says which.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = FileLock(str(lock), timeout=0)
    owner = lock.with_name(f"{lock.name}.owner")
    try:
        holder.acquire()
    except Timeout as error:
        raise LockedError(_name_of(owner)) from error
    try:
        write_whole(owner, json.dumps(_this_process()))
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        holder.release()


def _this_process() -> dict[str, object]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        user = "an unknown user"
    return {
        "process": os.getpid(),
        "user": user,
        "machine": platform.node(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
    }


def _name_of(owner: Path) -> str:
    try:
        found = json.loads(owner.read_text("utf-8"))
        return "process {process} of {user} on {machine}, since {since} ({command})".format(**found)
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not left its name"
