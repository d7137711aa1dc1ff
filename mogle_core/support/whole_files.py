"""Writes files atomically: to a temporary file that is synced and renamed. Every writer of a whole file in mogle_core
uses this module.

Each write has a separate partial file, hidden beside the target, so two processes that write the same file never mix
their bytes. The next process that writes into the folder removes the leftovers of killed processes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

PARTIAL = ".partial"

_NAME = re.compile(rf"\..*\.(?P<machine>[0-9a-f]{{8}})-(?P<process>\d+)-[0-9a-f]{{8}}{re.escape(PARTIAL)}", re.DOTALL)
_LONGEST_NAME = 120  # bytes of the target's name in the partial file's name; file systems allow 255 in total
_DAY = 24 * 3600.0
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_FULL_IN_WORDS = re.compile(
    r"no space left|quota exceeded|file too large|os error (27|28|112|122)\b"
    r"|PytorchStreamWriter failed|file write failed",
    re.IGNORECASE,
)


class DiskFullError(OSError):
    """A file was not written because its disk is full; the message names both and says what to do."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} was not written: No space is left on its disk. Free some in {self.path.parent}, or choose a "
            "folder on another disk."
        )


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path to write to. After the block the file is on the disk under the name `path`.

    After an error or an interruption, `path` is unchanged. Missing parent folders are created. A link at `path` is
    replaced, never followed. The file's permissions are those of any new file (the umask).

    Raises:
        DiskFullError: the disk has no room, whatever exception the writer in the block raised for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    partial = path.with_name(_partial_name(path.name))
    try:
        with partial.open("xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.chmod(mode)  # safetensors replaces the file by one of mode 0600
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if is_disk_full(error):
            raise DiskFullError(path) from error
        raise
    _sync_folder(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file with this content. Text is written as UTF-8, with unchanged line ends."""
    with written_aside(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_png(image: Image.Image, path: Path, **options: Any) -> None:
    """Write a PNG. options: those of Pillow's PNG writer."""
    with written_aside(path) as partial:
        image.save(partial, "PNG", **options)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file's content."""
    with written_aside(target) as partial:
        shutil.copyfile(source, partial)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a write failed for lack of space.

    safetensors says so only in its message. torch raises another error over that of the file it writes to.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL or (number is None and _FULL_IN_WORDS.search(str(error))):
            return True
        error = error.__cause__ or error.__context__
    return False


def remove_partials(folder: Path) -> None:
    """Remove all partial files in a folder. Only the holder of the folder's lock may call it."""
    for partial in folder.glob(f"*{PARTIAL}"):
        partial.unlink(missing_ok=True)


@lru_cache(maxsize=1024)
def remove_abandoned(folder: Path) -> None:
    """Remove the partial files of processes that have ended. Each process checks a folder only once."""
    for partial in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            if _is_abandoned(partial):
                partial.unlink(missing_ok=True)


def _is_abandoned(partial: Path) -> bool:
    """Whether the file's process has ended, or, on another machine, the file was not written to for a day."""
    if (name := _NAME.fullmatch(partial.name)) is None:
        return False
    if name["machine"] == _machine() and os.name != "nt":  # on Windows, os.kill(pid, 0) would end the process
        return not _is_running(int(name["process"]))
    return time.time() - partial.stat().st_mtime > _DAY


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _partial_name(name: str) -> str:
    short = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
    return f".{short}.{_machine()}-{os.getpid()}-{os.urandom(4).hex()}{PARTIAL}"


@lru_cache
def _machine() -> str:
    """Eight hex digits for the machine or container, within which a process id is unique."""
    import platform  # imported here, so that commands start without it

    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.blake2b(f"{platform.node()} {space}".encode(), digest_size=4).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Sync a folder, which puts a rename on the disk. Windows has no such call and does not need it."""
    if os.name == "nt":
        return
    # Some network file systems refuse to sync a folder; the file itself is synced.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
