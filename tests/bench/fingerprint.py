"""Time how long a training run takes to notice that its data set has changed: the digest of every file's content.

    python tests/bench/fingerprint.py --pairs 5000 --folder DIR

Writes pairs of random bytes with the mean sizes of MM-CelebA-HQ (a mask of 8 kB, a picture of 120 kB) and a few large
files, and digests them as `mogle train` does at its start: cold (after the system was asked to drop the files from its
cache), warm, and again in the same process. Prints seconds for a GB and for 1,000 files, of processor and of clock.
DIR has to be on the disk that is measured; it is removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2]))
from mogle_core.training.data import items

MASK, FACE, LARGE = 8_000, 120_000, 100_000_000


def written(folder: Path, sizes: Sequence[int]) -> list[Path]:
    paths = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}"
        with path.open("wb") as file:
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())
        paths.append(path)
    return paths


def pairs_of(paths: Sequence[Path]) -> list[SimpleNamespace]:
    """What the digest looks at of an item: two paths."""
    return [SimpleNamespace(pair=SimpleNamespace(mask=a, face=b)) for a, b in zip(paths[::2], paths[1::2], strict=True)]


def drop(paths: Sequence[Path]) -> bool:
    """Ask the system to forget the files' contents; False where it cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def timed(paths: Sequence[Path], again: bool = False) -> tuple[float, float]:
    """Seconds of clock and of processor for the digests of all files."""
    if not again:
        items._digest_of.cache_clear()
    pairs = pairs_of(paths)
    before, clock = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    items.content_digests(pairs)
    taken, after = time.monotonic() - clock, resource.getrusage(resource.RUSAGE_SELF)
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(name: str, paths: Sequence[Path]) -> None:
    gigabytes, thousands = sum(path.stat().st_size for path in paths) / 1e9, len(paths) / 1000
    runs = {"cold": (drop(paths), timed(paths))} | {"warm": (True, min(timed(paths) for _ in range(3)))}
    runs["again in the process"] = (True, timed(paths, again=True))
    print(f"{name}: {len(paths)} files, {gigabytes:.2f} GB")
    for way, (possible, (clock, processor)) in runs.items():
        times = f"{clock / gigabytes:7.2f} s/GB  {clock / thousands:7.3f} s per 1,000 files"
        print(f"  {way:21} {times}  {processor / gigabytes:6.2f} CPU s/GB{'' if possible else '  (cache not dropped)'}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=5000)
    options.add_argument("--large", type=int, default=10, help="files of 100 MB; an even number")
    options.add_argument("--folder", type=Path, default=None)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="mogle-fingerprint-") as folder:
        for name in ("pairs", "large"):
            (Path(folder) / name).mkdir()
        report("masks and pictures", written(Path(folder) / "pairs", (MASK, FACE) * given.pairs))
        if given.large:
            report("large files", written(Path(folder) / "large", (LARGE,) * given.large))


if __name__ == "__main__":
    main()
