"""Measures the cache against the number of images: planning, filling, opening and a batch; time, memory, bytes.

    python tests/bench/cache.py [--counts 500 5000 50000] [--keep DIR]

Prints a Markdown table. The items are 200 drawn faces of 32 x 32 pixels, each shifted to as many positions as are
needed, so that no two have the same image or the same mask of a present class. The encoders cost almost nothing,
so the cache is what is measured. Every row runs in a separate process. Memory is the private memory of the process
(RssAnon), without the pages of mapped files, which the system can take back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from mogle_core.masks.decouple import index_image
from mogle_core.model.encoders import Encoders, Moments
from mogle_core.support.whole_files import write_png
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.training.config.reading import TrainingConfig
from mogle_core.training.data.samples import open_samples
from mogle_core.training.data.schedule import Schedule

BASES, SIZE, BATCH, STEPS = 200, 32, 8, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5000, 50_000])
    parser.add_argument("--keep", type=Path, help="a folder that keeps data and cache (default: a temporary one)")
    parser.add_argument("--part", choices=["fill", "train"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part = filled if options.part == "fill" else trained
        print(json.dumps(part(options.keep, options.counts[0])))
        return
    print("| images | rows | bytes | plan and fill | memory | second open | memory | in steps | a batch of 8 |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in options.counts:
            root = (options.keep or Path(folder)) / str(count)
            draw(root, count)
            print(line(count, run(root, count, "fill"), run(root, count, "train")), flush=True)


def line(count: int, fill: dict[str, float], train: dict[str, float]) -> str:
    return (
        f"| {count:,} | {fill['rows']:,} | {fill['bytes'] / 2**20:,.0f} MiB | {fill['seconds']:.0f} s "
        f"({1000 * fill['seconds'] / count:.1f} ms an image) | {fill['memory']:.0f} MiB | {train['open']:.1f} s "
        f"| {train['opening']:.0f} MiB | {train['steps']:.0f} MiB | {1000 * train['batch']:.1f} ms |"
    )


def run(root: Path, count: int, part: str) -> dict[str, float]:
    """One measurement in a separate process."""
    command = [sys.executable, __file__, "--counts", str(count), "--keep", str(root), "--part", part]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def draw(root: Path, count: int) -> None:
    """Images, masks and captions of `count` faces."""
    if (root / "captions.json").exists():
        return
    faces = [draw_face(seed, SIZE) for seed in range(BASES)]
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    captions = {}
    for number in range(count):
        shift, base = divmod(number, BASES)
        by, name = divmod(shift, SIZE), f"{number:05d}.png"
        Image.fromarray(np.roll(faces[base].picture, by, (0, 1))).save(root / "images" / name, compress_level=1)
        write_png(index_image(np.roll(faces[base].ids, by, (0, 1))), root / "masks" / name)
        captions[name] = f"{faces[base].caption} Picture {number}."
    (root / "captions.json").write_text(json.dumps(captions))


class CheapVAE:
    fingerprint, has_variance = "cheap", True

    def encode(self, pictures: Tensor) -> Moments:
        cells = F.avg_pool2d(pictures.movedim(-1, 1), 8).repeat(1, 6, 1, 1)[:, :16]
        return Moments(cells, cells)

    def decode(self, latents: Tensor) -> Tensor:
        raise NotImplementedError

    def release(self) -> None: ...


class CheapText:
    fingerprint, sizes = "cheap", (16, 96, 64)

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        numbers = torch.tensor([[len(text), sum(map(ord, text))] for text in prompts]).float()
        return numbers.repeat(1, 768).view(-1, 16, 96), numbers.repeat(1, 32)

    def release(self) -> None: ...


def configured(root: Path, count: int) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "data": {"root": root, "layout": "folders", "resolution": SIZE},
            "cache": {"folder": root / "cache", "shard_bytes": 16 * 2**20},
            "loop": {"steps": max(1, count // BATCH), "batch": BATCH},
            "validation": {"every": 0},
        }
    )


class Peak:
    """The largest RssAnon in MiB above its initial value, sampled a hundred times a second."""

    def __enter__(self) -> Peak:
        self.first, self.highest, self.over = anonymous(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.over.wait(0.01):
            self.highest = max(self.highest, anonymous() - self.first)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def anonymous() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def filled(root: Path, count: int) -> dict[str, float]:
    begun = time.perf_counter()
    with Peak() as peak:
        open_samples(configured(root, count), Encoders(CheapVAE(), CheapText()))
    seconds = time.perf_counter() - begun
    files = list((root / "cache/shards").iterdir())
    rows = sum(safe_open(path, "pt").get_slice("keys").get_shape()[0] for path in files)
    return {"rows": rows, "bytes": sum(p.stat().st_size for p in files), "seconds": seconds, "memory": peak.highest}


def trained(root: Path, count: int) -> dict[str, float]:
    config = configured(root, count)
    first, begun = anonymous(), time.perf_counter()
    with Peak() as opening:
        samples = open_samples(config, Encoders(CheapVAE(), CheapText()))
    opened = time.perf_counter()
    with Peak() as stepping:
        schedule = Schedule(samples.grids, BATCH, config.loop.seed)
        steps = min(STEPS, config.loop.steps)
        for step in range(steps):
            samples.batch(schedule.step(step), torch.device("cpu"))
    return {
        "open": opened - begun,
        "batch": (time.perf_counter() - opened) / steps,
        "opening": opening.highest,
        "steps": stepping.first - first + stepping.highest,
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
