"""Where encoded things are kept: in memory, or in safetensors files that are written aside, synced and renamed.

A file holds rows of one kind and shape, with their keys and a checksum: it says by itself what it is, so there is
no index that could disagree with the files. A file that is there is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ....support.tensor_files import write_safetensors
from ....support.whole_files import remove_partials
from ..rows import Row
from .keys import Keys, stacked

Finder = Callable[[Keys], NDArray[np.int64]]
"""Keys (N, 2) -> where they are, (N,); -1 for those that are not there."""

_ROW_BITS = 32
_OPEN_FILES = 64


class CacheError(ValueError):
    """A cache that cannot be used; the message names the file and what to do."""


class Store(Protocol):
    """Rows of tensors by key."""

    def finder(self) -> Finder:
        """Of what is there now."""
        ...

    def read(self, place: int) -> Row: ...

    def add(self, kind: str, key: bytes, row: Row) -> None:
        """Keep a row, at the latest with the next `flush`."""
        ...

    def flush(self) -> None: ...


class MemoryStore:
    """Rows in host memory."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._rows: list[Row] = []

    def finder(self) -> Finder:
        def find(keys: Keys) -> NDArray[np.int64]:
            return np.array([self._places.get(key.tobytes(), -1) for key in keys], dtype=np.int64)

        return find

    def read(self, place: int) -> Row:
        return self._rows[place]

    def add(self, kind: str, key: bytes, row: Row) -> None:
        # Copies, so that a batch of which this is a part can be freed.
        self._places[key] = len(self._rows)
        self._rows.append({name: tensor.cpu().clone() for name, tensor in row.items()})

    def flush(self) -> None:
        pass


class DiskStore:
    """Rows in files of a folder, about `shard_bytes` each."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.folder, self.shard_bytes = folder / "shards", shard_bytes
        self._pending: dict[tuple[Any, ...], list[tuple[bytes, Row]]] = {}
        self._pending_bytes: dict[tuple[Any, ...], int] = {}
        self._open = lru_cache(maxsize=_OPEN_FILES)(_open)
        self._files: list[Path] = []

    def finder(self) -> Finder:
        known, places = self._index()
        halves = np.ascontiguousarray(known[:, 0])

        def find(keys: Keys) -> NDArray[np.int64]:
            if not len(known):
                return np.full(len(keys), -1, dtype=np.int64)
            # Sorted by the first half; two keys that agree in it by chance are told apart by the second.
            at = np.minimum(np.searchsorted(halves, keys[:, 0]), len(known) - 1)
            return np.where((known[at] == keys).all(1), places[at], -1)

        return find

    def read(self, place: int) -> Row:
        path = self._files[place >> _ROW_BITS]
        row = place & (2**_ROW_BITS - 1)
        file = self._open(path)
        try:
            names = [name for name in file.keys() if name != "keys"]  # noqa: SIM118
            return {name: file.get_slice(name)[row : row + 1][0] for name in names}
        except SafetensorError as error:
            raise _broken(path, error) from error

    def add(self, kind: str, key: bytes, row: Row) -> None:
        group = (kind, *((name, tuple(tensor.shape)) for name, tensor in sorted(row.items())))
        self._pending.setdefault(group, []).append((key, {name: t.cpu() for name, t in row.items()}))
        size = sum(tensor.numel() * tensor.element_size() for tensor in row.values())
        self._pending_bytes[group] = self._pending_bytes.get(group, 0) + size
        if self._pending_bytes[group] >= self.shard_bytes:
            self._write(group)

    def flush(self) -> None:
        for group in list(self._pending):
            self._write(group)

    def _write(self, group: tuple[Any, ...]) -> None:
        rows = self._pending.pop(group)
        self._pending_bytes.pop(group)
        keys = stacked([key for key, _ in rows])
        tensors = {name: torch.stack([row[name] for _, row in rows]) for name in rows[0][1]}
        tensors["keys"] = torch.from_numpy(keys.view(np.int64).copy())
        name = hashlib.blake2b(keys.tobytes(), digest_size=8).hexdigest()
        write_safetensors(self.folder / f"{group[0]}-{name}.safetensors", tensors, {"checksum": checksum(tensors)})

    def _index(self) -> tuple[Keys, NDArray[np.int64]]:
        """All keys in the files, sorted, and their places."""
        self._files = sorted(self.folder.glob("*.safetensors"))
        found, places = [], []
        for number, path in enumerate(self._files):
            with _opened(path) as file:
                keys = file.get_tensor("keys").numpy().view(np.uint64)
            found.append(keys)
            places.append((np.int64(number) << _ROW_BITS) + np.arange(len(keys)))
        if not found:
            return np.zeros((0, 2), dtype=np.uint64), np.zeros(0, dtype=np.int64)
        keys, where = np.concatenate(found), np.concatenate(places)
        order = np.argsort(keys[:, 0], kind="stable")
        return keys[order], where[order]

    def verify(self) -> Iterator[Path]:
        """Read every file against its checksum; yields each that is right.

        Raises:
            CacheError: the first that is not.
        """
        for path in sorted(self.folder.glob("*.safetensors")):
            with _opened(path) as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if file.metadata().get("checksum") != checksum(tensors):
                    raise _broken(path, "its checksum is another")
            yield path


def checksum(tensors: Row) -> str:
    """Of the tensors' bytes, by name."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep others from filling this cache meanwhile, and clear away what a killed process left half-written.

    Raises:
        CacheError: another process is filling it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            import fcntl  # not on Windows, where two are on their own

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except OSError as error:
            raise CacheError(f"Another process is filling the cache {folder}: wait for it, or use another.") from error
        for part in folder.glob("*/"):
            remove_partials(part)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with _open(path) as file:
        yield file


def _open(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, reason: object) -> CacheError:
    return CacheError(f"{path} is damaged ({reason}): delete it, and `mogle prepare` makes what it held again.")
