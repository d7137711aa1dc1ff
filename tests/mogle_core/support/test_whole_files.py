"""Files are written whole or stay as they were, whatever happens in between."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.full_disk import room_for
from support.places import REPOSITORY

from mogle_core.support import whole_files
from mogle_core.support.tensor_files import write_safetensors, write_torch
from mogle_core.support.whole_files import (
    DiskFullError,
    copy_whole,
    remove_abandoned,
    remove_partials,
    write_png,
    write_whole,
    written_aside,
)

LARGE = torch.arange(100_000.0)


def _copy(path: Path) -> None:
    source = path.parent.parent / "source"
    if not source.exists():
        source.write_bytes(LARGE.numpy().tobytes())
    copy_whole(source, path)


def _png(path: Path) -> None:
    rows = torch.randint(256, (400, 400), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_png(Image.fromarray(rows.numpy()), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda path: write_whole(path, "a" * 400_000),
    "bytes": lambda path: write_whole(path, bytes(400_000)),
    "copy": _copy,
    "png": _png,
    "safetensors": lambda path: write_safetensors(path, {"a": LARGE}),
    "torch": lambda path: write_torch(path, {"a": LARGE}),
}
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other names, links and permissions")
each_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"


@each_writer
def test_the_folder_holds_the_file_and_nothing_else(write: Callable[[Path], None], folder: Path) -> None:
    write(folder / "file")
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").stat().st_size > 100_000


@posix
@each_writer
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_a_new_file(write: Callable[[Path], None], mask: int, folder: Path) -> None:
    before = os.umask(mask)
    try:
        write(folder / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o666 & ~mask


@each_writer
@pytest.mark.parametrize("room", [0, 700, 90_000])
def test_a_full_disk_leaves_the_file_before_and_a_sentence(
    write: Callable[[Path], None], room: int, folder: Path
) -> None:
    folder.mkdir()
    _copy(folder / "warm")  # makes the source while there is room
    (folder / "warm").unlink()
    (folder / "file").write_text("before")
    with (
        room_for(room),
        pytest.raises(DiskFullError, match=r"file was not written: No space is left on its disk\. Free"),
    ):
        write(folder / "file")
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "before"
    write(folder / "file")
    assert (folder / "file").stat().st_size > 100_000


def test_another_error_is_raised_as_it_is(folder: Path) -> None:
    write_whole(folder / "file", "before")
    with pytest.raises(KeyError), written_aside(folder / "file") as partial:
        partial.write_text("half")
        raise KeyError
    assert [path.read_text() for path in folder.iterdir()] == ["before"]


def test_tensors_are_read_back_whatever_their_layout(folder: Path) -> None:
    tensors = {"turned": torch.arange(6.0).view(2, 3).T, "grad": torch.ones(2, requires_grad=True)}
    write_safetensors(folder / "a.safetensors", tensors, {"note": "1"})
    write_torch(folder / "a.pt", {name: tensor.detach() for name, tensor in tensors.items()})
    for found in (load_file(folder / "a.safetensors"), torch.load(folder / "a.pt", weights_only=True)):
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@posix
def test_a_link_is_replaced_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "another").write_text("another's")
    folder.mkdir()
    (folder / "file").symlink_to(tmp_path / "another")
    write_whole(folder / "file", "new")
    assert (tmp_path / "another").read_text() == "another's"
    assert not (folder / "file").is_symlink()
    assert (folder / "file").read_text() == "new"


@posix
@pytest.mark.parametrize("name", ["ä" * 120, "a" * 250, "a.b.partial", "*[x]?"])
def test_names_of_any_kind(name: str, folder: Path) -> None:
    write_whole(folder / name, "text")
    assert [path.name for path in folder.iterdir()] == [name]


_SLOW = """
import sys, time
from pathlib import Path
from mogle_core.support.whole_files import written_aside
with written_aside(Path(sys.argv[1])) as partial:
    with partial.open("w") as file:
        file.write("half")
        file.flush()
        print("half", flush=True)
        time.sleep(60)
"""


def _halfway(path: Path) -> subprocess.Popen[str]:
    """A process that has written half of this file and then sleeps."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def test_leftovers_of_killed_processes_are_removed_and_running_ones_stay(folder: Path) -> None:
    killed, running = _halfway(folder / "one"), _halfway(folder / "two")
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(list(folder.glob("*.partial"))) == 2
        remove_abandoned.cache_clear()
        write_whole(folder / "one", "whole")
        assert sorted(path.name.split(".")[1] for path in folder.glob("*.partial")) == ["two"]
        assert (folder / "one").read_text() == "whole"
    finally:
        running.kill()
        running.wait()


def test_two_writings_of_one_file_do_not_mix(folder: Path) -> None:
    """The one that ends last remains. Both are whole."""
    with written_aside(folder / "file") as first:
        first.write_text("first")
        write_whole(folder / "file", "second")
        assert (folder / "file").read_text() == "second"
    assert (folder / "file").read_text() == "first"


def test_leftovers_of_other_machines_are_removed_after_a_day(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(whole_files, "_machine", lambda: "00000000")
    young, old = (folder / whole_files._partial_name(name) for name in ("young", "old"))
    monkeypatch.undo()
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (time.time() - 90_000,) * 2)
    remove_abandoned.cache_clear()
    remove_abandoned(folder)
    assert [path.name for path in folder.iterdir()] == [young.name]


def test_files_of_others_that_end_alike_are_not_abandoned(folder: Path) -> None:
    folder.mkdir()
    (folder / ".download.partial").write_text("another program's")
    remove_abandoned.cache_clear()
    write_whole(folder / "file", "")
    assert (folder / ".download.partial").exists()
    remove_partials(folder)
    assert [path.name for path in folder.iterdir()] == ["file"]
