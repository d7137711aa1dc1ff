"""The benchmarks still run, at their smallest size. The times are not checked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def printed(script: str, *options: str) -> str:
    run = subprocess.run([sys.executable, FOLDER / script, *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_a_step_of_every_kind_is_in_the_table() -> None:
    table = printed("step.py", "--sizes", "32", "--rounds", "1", "--threads", "1")
    for row in ("floor", "plain FLUX", "mask stream", "  at strength 0.7", "mask_tokens half", "modulations"):
        assert re.search(rf"^{row}.*\d\.\d{{3}}", table, re.MULTILINE), row
    assert "refresh_every 4: " in table
    assert re.search(r"^torch.bfloat16( +\d+\.\d){5}$", table, re.MULTILINE)


@pytest.mark.slow
def test_memory_from_shapes_is_memory_counted() -> None:
    shapes, counted = (line.partition(" ") for line in printed("memory.py", "--check").splitlines())
    assert (shapes[0], counted[0]) == ("meta", "cpu")
    assert shapes[2] == counted[2]
