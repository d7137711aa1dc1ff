"""Two `mogle train` in one folder, as two processes: the second names the first, and the first loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.places import REPOSITORY
from support.small_sets import write_faces

from mogle_core.training import checkpoints

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no signal that halts a process"),
]
WAIT = 600


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), 3, 64)


def trainer(faces: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """A run that would take hours, with a checkpoint at each step."""
    keys = {
        "data.root": faces, "data.resolution": 32, "cache.where": "memory", "loop.steps": 100_000, "loop.batch": 1,
        "loop.checkpoint_every": 1, "validation.every": 0, "output.folder": out,
    }  # fmt: skip
    sets = [argument for key, value in keys.items() for argument in ("--set", f"{key}={value}")]
    command = [sys.executable, "-c", "import sys; from mogle_core.cli import main; sys.exit(main())", "train", "toy"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *sets, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def first(faces: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A trainer that has written three checkpoints and is halted, wherever it was."""
    process = trainer(faces, tmp_path)
    deadline = time.monotonic() + WAIT
    written = tmp_path / "my_toy_mogle/checkpoints"
    try:
        while not written.is_dir() or not any(int(path.stem[5:]) >= 3 for path in written.glob("step_*.pt")):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_second_says_who_holds_the_folder_and_the_first_goes_on(
    first: subprocess.Popen[str], faces: Path, tmp_path: Path
) -> None:
    partial = tmp_path / f"my_toy_mogle/checkpoints/.step_99999999.pt.{first.pid}.partial"
    partial.write_bytes(b"half of a checkpoint that the first is writing")
    before = contents(tmp_path)
    for options in (("--resume", "auto"), ()):
        second = trainer(faces, tmp_path, *options)
        _, said = second.communicate(timeout=WAIT)
        assert second.returncode == 1
        assert f"is in use by process {first.pid} of " in said
        assert "wait until it ends, or set another output.name" in said
        assert "Traceback" not in said
    assert contents(tmp_path) == before

    halted_at = max(int(path.stem[5:]) for path in (tmp_path / "my_toy_mogle/checkpoints").glob("step_*.pt"))
    first.send_signal(signal.SIGCONT)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=WAIT)
    found = checkpoints.newest(tmp_path / "my_toy_mogle/checkpoints")
    assert found is not None
    assert found.step >= halted_at
    lines = [json.loads(line) for line in (tmp_path / "my_toy_mogle/events.jsonl").read_text().splitlines()]
    assert any(line.get("event", line.get("kind")) == "stopped" for line in lines), lines[-3:]
