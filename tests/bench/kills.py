"""Kill a toy run again and again, go on, now and then from an older checkpoint, and compare its end to the bit.

    python tests/bench/kills.py --kills 50 --seed 0

The run is `tests/shared/support/toy_run.py`, a small network and LoRA on the toy's transformer. SIGKILL comes at a
random moment: while Python starts, in a step, or in the writing of a checkpoint. Every fifth start goes on from a
random older checkpoint, at times from one that was set aside. Exit status 1 if a single number differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests/shared/support/toy_run.py"
STEPS = "60"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--optimiser", default="adamw", choices=("adamw", "prodigy"))
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mogle-kills-") as folder:
        return compare(Path(folder), given.kills, given.seed, given.optimiser)


def compare(folder: Path, kills: int, seed: int, optimiser: str) -> int:
    """0 if the killed run's end is that of a run in one go."""
    import torch

    begun = time.monotonic()
    whole, killed = folder / "whole", folder / "killed"
    for place in (whole, killed):
        place.mkdir()
    start(whole, optimiser).wait()
    taken = time.monotonic() - begun
    rng, done, starts, older, moments = random.Random(seed), 0, 0, 0, {"starting": 0, "training": 0, "set aside": 0}
    while done < kills:
        starts += 1
        resume = "newest"
        known = sorted(killed.rglob("step_*.pt"))
        if starts % 5 == 0 and known:
            chosen = rng.choice(known)
            resume, older = str(chosen), older + 1
            moments["set aside"] += chosen.parent != killed
        process = start(killed, optimiser, resume)
        # Long enough, at times, for the run to come to its end: then it goes on from an older checkpoint.
        time.sleep(rng.uniform(0.2, 1.3) * taken)
        if process.poll() is not None:
            if process.returncode:
                print(process.communicate()[1], file=sys.stderr)
                return 1
            (killed / "end.pt").unlink()
            for path in sorted(killed.glob("step_*.pt"))[1:]:
                path.unlink()
            continue
        process.send_signal(signal.SIGKILL)
        output = process.communicate()[0]
        moments["training" if output else "starting"] += 1
        done += 1
    process = start(killed, optimiser)
    if process.wait():
        print(process.communicate()[1], file=sys.stderr)
        return 1
    one, other = (torch.load(place / "end.pt", weights_only=True) for place in (whole, killed))
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    print(
        f"{done} kills ({moments['training']} after training began, {moments['starting']} before), {older} of {starts} "
        f"starts from an older checkpoint ({moments['set aside']} of them set aside): "
        f"{len(one)} tensors and numbers compared, {len(differing)} differ."
    )
    left = [path.name for path in killed.rglob("*.partial")]
    print(f"{len(left)} partial files are left; {time.monotonic() - begun:.0f} s.")
    return int(bool(differing or left or one.keys() != other.keys()))


def start(folder: Path, optimiser: str, resume: str = "newest") -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests/shared'}"}
    command = [sys.executable, str(SCRIPT), str(folder), optimiser, STEPS, "never", resume]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main())
