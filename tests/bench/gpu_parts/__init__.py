"""The parts of `gpu.py`, one a file: `run(rows)` writes what it finds."""
