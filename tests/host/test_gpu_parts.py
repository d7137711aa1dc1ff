"""The parts of the GPU's command that need a ComfyUI, small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import hosts

BENCH = hosts.REPOSITORY / "tests/bench"
PARTS = {
    "host": "golden trajectory through the nodes, float32",
    "lowvram": "lowvram: weights are streamed",
    "novram": "novram: weights are streamed",
    "memory": "waits for the card in a step, at the defaults",
    "encoders": "ComfyUI, float32, 64 px",
}


@pytest.mark.server  # a ComfyUI of its own
def test_the_hosts_parts_run_small(tmp_path: Path) -> None:
    host = hosts.choose()
    if host.version < (0, 14):
        pytest.skip("the GPU's command is for a current ComfyUI")
    only = [f"--only={part}" for part in PARTS]
    command = [sys.executable, BENCH / "gpu.py", "--small", "--kit", str(tmp_path / "none"), "--out", str(tmp_path)]
    run = subprocess.run([*command, *only], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    for part, what in PARTS.items():
        assert any(row["part"] == part and row["what"] == what for row in rows), part
