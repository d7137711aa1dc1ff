"""Where the tests find the repository and their data."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
REPOSITORY = TESTS.parent
DATA = TESTS / "data"
