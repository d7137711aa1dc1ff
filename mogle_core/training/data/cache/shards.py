"""The stores of encoded parts: in memory, or in safetensors files that are written aside, synced and renamed.

A file holds rows of one kind and shape, with their keys and their digests: it says by itself what it is, so there
is no index that could disagree with the files. A file that is there is whole, and a row is checked whenever it is
read. Files from before rows had digests are read unchecked; `mogle prepare --verify` checks these, too.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ....support.locks import LockedError, sole_owner
from ....support.tensor_files import write_safetensors
from ....support.whole_files import remove_partials
from ..rows import Row
from .keys import Keys, stacked

Finder = Callable[[Keys], NDArray[np.int64]]
"""Keys (N, 2) -> their places (N,); -1 for keys that the store lacks."""

KEYS = "keys"
"""The name of the tensor that is not a part of rows."""

_DIGEST = 8  # bytes of a row's
_ROW_BITS = 32
_OPEN_FILES = 64


class CacheError(ValueError):
    """The cache cannot be used; the message names the file and what to do."""


class Store(Protocol):
    """Rows of tensors by key."""

    def finder(self) -> Finder:
        """Finds the rows that the store has now."""
        ...

    def read(self, place: int) -> Row: ...

    def add(self, kind: str, key: bytes, row: Row) -> None:
        """Store a row. It is written with the next `flush` at the latest."""
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
        # Copies, so that the batch can be freed.
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
        self._open = lru_cache(maxsize=_OPEN_FILES)(_with_digests)
        self._files: list[Path] = []

    def finder(self) -> Finder:
        known, places = self._index()
        halves = np.ascontiguousarray(known[:, 0])

        def find(keys: Keys) -> NDArray[np.int64]:
            if not len(known):
                return np.full(len(keys), -1, dtype=np.int64)
            # Sorted by the first half. The second half is compared in case two keys have the same first half.
            at = np.minimum(np.searchsorted(halves, keys[:, 0]), len(known) - 1)
            return np.where((known[at] == keys).all(1), places[at], -1)

        return find

    def read(self, place: int) -> Row:
        path = self._files[place >> _ROW_BITS]
        row = place & (2**_ROW_BITS - 1)
        file, digests = self._open(path)
        try:
            names = [name for name in file.keys() if name != KEYS]  # noqa: SIM118
            found = {name: file.get_slice(name)[row : row + 1][0] for name in names}
        except SafetensorError as error:
            raise _broken(path, error) from error
        if digests is not None and digests[row * _DIGEST : (row + 1) * _DIGEST] != row_digest(found):
            raise _broken(path, f"row {row} does not have its digest")
        return found

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
        tensors[KEYS] = torch.from_numpy(keys.view(np.int64).copy())
        name = hashlib.blake2b(keys.tobytes(), digest_size=8).hexdigest()
        write_safetensors(
            self.folder / f"{group[0]}-{name}.safetensors", tensors, _notes(tensors, [row for _, row in rows])
        )

    def _index(self) -> tuple[Keys, NDArray[np.int64]]:
        """All keys in the files, sorted, and their places."""
        self._files = sorted(self.folder.glob("*.safetensors"))
        found, places = [], []
        for number, path in enumerate(self._files):
            with _opened(path) as file:
                keys = _keys_of(path, file)
            found.append(keys)
            places.append((np.int64(number) << _ROW_BITS) + np.arange(len(keys)))
        if not found:
            return np.zeros((0, 2), dtype=np.uint64), np.zeros(0, dtype=np.int64)
        keys, where = np.concatenate(found), np.concatenate(places)
        order = np.argsort(keys[:, 0], kind="stable")
        return keys[order], where[order]

    def verify(self) -> Iterator[Path]:
        """Compare every file with its checksum; yield each good file.

        Raises:
            CacheError: the first damaged file.
        """
        for path in sorted(self.folder.glob("*.safetensors")):
            read_checked(path)
            yield path


def read_checked(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, compared with its checksum.

    Raises:
        CacheError: it is damaged.
    """
    with _opened(path) as file:
        try:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise _broken(path, error) from error
        if (file.metadata() or {}).get("checksum") != checksum(tensors):
            raise _broken(path, "its checksum is another")
    return tensors


def row_digest(row: Row) -> bytes:
    """Of a row's names, types, shapes and numbers."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for name in sorted(row):
        tensor = row[name].cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(torch.uint8).numpy().data if tensor.ndim else tensor.numpy().tobytes())
    return digest.digest()


def _notes(tensors: Row, rows: Sequence[Row]) -> dict[str, str]:
    """The metadata. checksum: of everything. keys: of the keys. rows: of each row, one after the other."""
    digests = b64encode(b"".join(row_digest(row) for row in rows)).decode()
    return {"checksum": checksum(tensors), "keys": checksum({KEYS: tensors[KEYS]}), "rows": digests}


def _keys_of(path: Path, file: Any) -> Keys:
    try:
        keys = file.get_tensor(KEYS)
    except SafetensorError as error:
        raise _broken(path, error) from error
    if (file.metadata() or {}).get("keys", "") not in ("", checksum({KEYS: keys})):
        raise _broken(path, "its keys do not have their digest")
    found: Keys = keys.numpy().view(np.uint64)
    return found


def checksum(tensors: Row) -> str:
    """The checksum of the tensors' bytes, by name."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        flat = tensors[name].reshape(-1).contiguous()  # an empty part may have strides of 0
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep other processes from filling this cache, and remove what a killed process left half-written.

    Raises:
        CacheError: another process is filling it; the message says which.
    """
    try:
        with sole_owner(folder / "lock"):
            for part in folder.glob("*/"):
                remove_partials(part)
            yield
    except LockedError as error:
        raise CacheError(
            f"Another process is filling the cache {folder} ({error}): wait for it, or set another cache.folder."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with _open(path) as file:
        yield file


def _with_digests(path: Path) -> tuple[Any, bytes | None]:
    """An open file, and its rows' digests; None in files from before rows had them."""
    file = _open(path)
    notes = file.metadata() or {}
    try:
        digests = b64decode(notes["rows"], validate=True) if "rows" in notes else None
    except ValueError as error:
        raise _broken(path, error) from error
    if digests is None and "keys" in notes:
        raise _broken(path, "the digests of its rows are missing")
    return file, digests


def _open(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, reason: object) -> CacheError:
    return CacheError(f"{path} is damaged ({reason}): delete it, and `mogle prepare` makes what it held again.")
