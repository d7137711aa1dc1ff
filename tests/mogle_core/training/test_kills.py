"""A run that is killed at random moments ends as one that was never stopped. `tests/bench/kills.py` kills 50 times."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.places import TESTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills.py starts its runs by fork, which this system lacks"),
]


def test_killed_at_random_moments_and_resumed_from_new_and_old_checkpoints() -> None:
    command = [sys.executable, str(TESTS / "bench/kills.py"), "--kills", "6", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("6 kills")
    assert ", 0 differ." in done.stdout
