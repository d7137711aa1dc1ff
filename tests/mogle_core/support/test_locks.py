"""One process at a time, and who it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

from mogle_core.support.locks import LockedError, sole_owner

_HOLDER = """
import sys, time
from pathlib import Path
from mogle_core.support.locks import sole_owner
with sole_owner(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(lock: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(lock)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_second_is_told_who_the_first_is_and_a_kill_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "folder/lock"
    process = holder(lock)
    try:
        with pytest.raises(LockedError, match=f"process {process.pid} of .* on .*, since "), sole_owner(lock):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with sole_owner(lock):
        assert (tmp_path / "folder/lock.owner").exists()
    assert not (tmp_path / "folder/lock.owner").exists()


def test_a_lock_is_held_against_this_process_too(tmp_path: Path) -> None:
    with (
        sole_owner(tmp_path / "lock"),
        pytest.raises(LockedError, match=str(os.getpid())),
        sole_owner(tmp_path / "lock"),
    ):
        pass


def test_an_owner_that_cannot_be_read_is_said_to_be_unknown(tmp_path: Path) -> None:
    with sole_owner(tmp_path / "lock"):
        (tmp_path / "lock.owner").write_text("{")
        with pytest.raises(LockedError, match="has not left its name"), sole_owner(tmp_path / "lock"):
            pass
