"""A step of the official code on the same card, in its own environment, if the kit or the machine has both."""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

import step
import torch
from support.counting import in_rounds
from support.official import Asked, Official
from support.rows import Rows

from gpu_parts.sizes import inputs, like, models, params_of, pixels

ROUNDS = 10


def run(rows: Rows) -> None:
    """OFFICIAL_PATH names a checkout; OFFICIAL_PYTHON its interpreter, else its .venv's, else this one."""
    checkout = Path(os.environ.get("OFFICIAL_PATH", "nowhere"))
    if not (checkout / "src/flux/transformer.py").is_file():
        rows.skip("the official code's step", "OFFICIAL_PATH names no checkout of it")
        return
    own = checkout / ".venv/bin/python"
    python = Path(os.environ.get("OFFICIAL_PYTHON", own if own.exists() else sys.executable))
    with torch.inference_mode():
        for size in pixels(rows):
            what = f"{size} px: the official code"
            if rows.time_for(what, 40):
                with rows.attempt(what):
                    _compared(rows, checkout, python, size)


def _compared(rows: Rows, checkout: Path, python: Path, size: int) -> None:
    params = params_of(rows)
    flux, network, lora = models(rows, params)
    x = inputs(rows, params, size, like(rows))
    official = Official(checkout, python, flux, network, lora, x, random=not rows.small)
    runs = {name: run for name, run in step.variants(flux, network, lora, x).items() if name in (step.FLOOR, step.OURS)}
    asked = Asked(official, "step")
    for each in (*runs.values(), asked):
        each()
    seconds = in_rounds({**runs, step.OFFICIAL: asked}, 2 if rows.small else ROUNDS, rows.device)
    # Its own clock runs in its own process.
    own = [float(official.ask("step")["seconds"]) for _ in range(ROUNDS)]
    ours, floor = (statistics.median(seconds[name]) for name in (step.OURS, step.FLOOR))
    its = statistics.median(own)
    rows.tell(f"{size} px: the official code's step", 1000 * its, "ms", of_floor=its / floor, exact_of_it=ours / its)
    official.close()
