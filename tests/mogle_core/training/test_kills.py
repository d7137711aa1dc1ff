"""A run that is killed at random moments ends as one that was never stopped. `tests/bench/kills.py` kills 50 times."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support.places import TESTS

pytestmark = pytest.mark.slow


def test_killed_at_random_moments_and_resumed_from_new_and_old_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("kills", TESTS / "bench/kills.py")
    assert spec is not None
    assert spec.loader is not None
    kills = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kills)
    status = kills.compare(tmp_path, kills=4, seed=1, optimiser="adamw")
    said = capsys.readouterr().out
    assert status == 0, said
    assert said.startswith("4 kills")
    assert ", 0 differ." in said
