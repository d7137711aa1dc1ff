"""How long a training step waits for its data: the toy from its cache, on this disk and on a slow one.

    python tests/bench/data_wait.py                        60 steps each, in a temporary folder
    python tests/bench/data_wait.py --milliseconds 20      how long the slow disk needs for each sample

The slow disk is simulated: a sleep before each sample is read. The first reading of a run is left out, because its
first step has nothing to load ahead of it; it is printed beside the rest.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from mogle_core.cli import main
from mogle_core.training.data.samples import EncodedSamples


def readings(folder: Path, name: str, steps: int, workers: int, seconds: float) -> list[dict[str, Any]]:
    """The events of a run of the toy in which reading a sample takes `seconds` longer."""
    read = EncodedSamples._sample

    def slow(self: EncodedSamples, pick: Any) -> Any:
        time.sleep(seconds)
        return read(self, pick)

    sets = {
        "data.root": folder / "faces", "cache.folder": folder / "cache", "output.folder": folder, "output.name": name,
        "loop.steps": steps, "loop.workers": workers, "validation.every": 0, "loop.checkpoint_every": 10_000,
    }  # fmt: skip
    EncodedSamples._sample = slow  # type: ignore[method-assign]
    try:
        if main(["train", "toy", *(part for key, value in sets.items() for part in ("--set", f"{key}={value}"))]):
            raise SystemExit(1)
    finally:
        EncodedSamples._sample = read  # type: ignore[method-assign]
    events = [json.loads(line) for line in (folder / name / "events.jsonl").read_text().splitlines()]
    return [event for event in events if event["event"] == "step"]


def report(folder: Path, steps: int, milliseconds: float) -> str:
    lines = [
        "| disk | loop.workers | seconds a step | waiting for data, steady | first ten steps |",
        "|---|---|---|---|---|",
    ]
    for disk, seconds in (("this one", 0.0), (f"+{milliseconds:g} ms a sample", milliseconds / 1000)):
        for workers in (0, 4):
            first, *rest = readings(folder, f"run_{workers}_{seconds:g}", steps, workers, seconds)
            share = sum(e["data_seconds_per_step"] for e in rest) / sum(e["seconds_per_step"] for e in rest)
            step = mean(event["seconds_per_step"] for event in rest)
            lines.append(f"| {disk} | {workers} | {step:.3f} | {share:.1%} | {first['data_share']:.1%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--milliseconds", type=float, default=20.0)
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        main(["toy", "faces", str(Path(place) / "faces"), "--count", "64"])
        print(report(Path(place), options.steps, options.milliseconds))  # noqa: T201
