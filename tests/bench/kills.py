"""Kill a toy run again and again, go on, now and then from an older checkpoint, and compare its end to the bit.

    python tests/bench/kills.py --kills 50 --seed 0

The run is `tests/shared/support/toy_run.py`: a small network and LoRA on the toy's transformer, in a process that is
forked for each start. SIGKILL comes at a random moment of the training, every tenth time before it begins. Every
fifth start goes on from a random older checkpoint, which may be one that was set aside. Exit status 1 if a single
number differs. Needs a system with fork.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = 60


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
    run = Run(whole, optimiser)
    run.wait_for_step()
    training = time.monotonic()
    if run.wait():
        return 1
    taken = time.monotonic() - training
    rng, counts = random.Random(seed), dict.fromkeys(("kills", "starts", "older", "aside", "writing", "ended"), 0)
    while counts["kills"] < kills:
        counts["starts"] += 1
        resume = "newest"
        known = sorted(killed.rglob("step_*.pt"))
        if counts["starts"] % 5 == 0 and known:
            chosen = rng.choice(known)
            resume = str(chosen)
            counts["older"] += 1
            counts["aside"] += chosen.parent != killed
        run = Run(killed, optimiser, resume)
        if counts["kills"] % 10 != 9:
            run.wait_for_step()
        # Long enough, at times, for the run to come to its end: then it goes on from its first checkpoint.
        time.sleep(rng.uniform(0, 0.8) * taken)
        if run.ended():
            if run.status:
                return 1
            counts["ended"] += 1
            (killed / "end.pt").unlink()
            for path in sorted(killed.glob("step_*.pt"))[1:]:
                path.unlink()
            continue
        os.kill(run.process, signal.SIGKILL)
        run.wait()
        counts["kills"] += 1
        counts["writing"] += any(killed.glob("*.partial"))
    if Run(killed, optimiser).wait():
        return 1
    one, other = (torch.load(place / "end.pt", weights_only=True) for place in (whole, killed))
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    print(
        f"{kills} kills ({counts['writing']} of them in the writing of a file), {counts['starts']} starts, "
        f"{counts['older']} of them from an older checkpoint ({counts['aside']} from one that was set aside), "
        f"{counts['ended']} times the end was reached before the kill: {len(one)} tensors and numbers compared, "
        f"{len(differing)} differ."
    )
    left = [path.name for path in killed.rglob("*.partial")]
    print(f"{len(left)} partial files are left; {time.monotonic() - begun:.0f} s.")
    return int(bool(differing or left or one.keys() != other.keys()))


class Run:
    """A process that trains in a folder, from its newest checkpoint or from that of a path."""

    def __init__(self, folder: Path, optimiser: str, resume: str = "newest") -> None:
        self.output = folder.with_suffix(".txt")
        self.output.write_text("")
        self.status: int | None = None
        self.process = os.fork()
        if self.process == 0:
            os._exit(_train(self.output, folder, optimiser, resume))

    def wait_for_step(self) -> None:
        """Until the run says at which step it begins."""
        while "step" not in self.output.read_text() and not self.ended():
            time.sleep(0.01)

    def ended(self) -> bool:
        if self.status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            self._ended(process, status)
        return self.status is not None

    def wait(self) -> int:
        if self.status is None:
            self._ended(*os.waitpid(self.process, 0))
        return self.status or 0

    def _ended(self, process: int, status: int) -> None:
        if process:
            self.status = os.waitstatus_to_exitcode(status)
            if self.status > 0:
                print(self.output.read_text(), file=sys.stderr)


def _train(output: Path, folder: Path, optimiser: str, resume: str) -> int:
    with output.open("w", encoding="utf-8") as sys.stdout:
        try:
            from support import toy_run

            toy_run.main(folder, optimiser, STEPS, "never", resume)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            return 1
    return 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests/shared")]
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch
    from support import toy_run

    torch.set_num_threads(1)  # before the first fork, so that no thread is lost in it
    toy_run.join_processes()
    toy_run._base("float32")
    sys.exit(main())
