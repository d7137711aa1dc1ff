"""A set of drawn faces as arrays. It is drawn once, stored in one file, and read by every training."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from ...support.whole_files import written_aside
from .faces import Attributes, Face, draw_face

_LOG = logging.getLogger(__name__)

HELD_OUT = 10_000_000
"""Seeds from here on are for scores; training sets use the seeds below, from 0 up."""


@dataclass(frozen=True)
class FaceSet:
    """N faces: ids (N, H, W) uint8, pictures (N, H, W, 3) uint8, a caption and attributes each."""

    ids: NDArray[np.uint8]
    pictures: NDArray[np.uint8]
    captions: tuple[str, ...]
    attributes: tuple[Attributes, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def __add__(self, other: FaceSet) -> FaceSet:
        return FaceSet(
            np.concatenate((self.ids, other.ids)),
            np.concatenate((self.pictures, other.pictures)),
            self.captions + other.captions,
            self.attributes + other.attributes,
        )

    def first(self, count: int) -> FaceSet:
        return FaceSet(self.ids[:count], self.pictures[:count], self.captions[:count], self.attributes[:count])


def draw_faces(seeds: Iterable[int], size: int = 128, workers: int = 1) -> FaceSet:
    """Draw the faces of these seeds. Any number of `workers` (processes) gives the same result."""
    seeds = list(seeds)
    jobs = [(seed, size) for seed in seeds]
    if workers <= 1:
        return _collect([_draw(job) for job in tqdm(jobs, desc="draw", unit="face", disable=None)])
    with get_context("spawn").Pool(workers) as pool:
        drawn = pool.imap(_draw, jobs, chunksize=32)
        return _collect(list(tqdm(drawn, total=len(jobs), desc="draw", unit="face", disable=None)))


def _draw(job: tuple[int, int]) -> Face:
    return draw_face(*job)


def _collect(faces: list[Face]) -> FaceSet:
    return FaceSet(
        np.stack([face.ids for face in faces]),
        np.stack([face.picture for face in faces]),
        tuple(face.caption for face in faces),
        tuple(face.attributes for face in faces),
    )


def write_faces(path: Path, faces: FaceSet) -> None:
    """Write one .safetensors: the arrays are tensors, captions and attributes are JSON in the metadata."""
    words = {
        "captions": json.dumps(faces.captions),
        "attributes": json.dumps([asdict(attributes) for attributes in faces.attributes]),
    }
    with written_aside(path) as partial:
        save_file({"ids": faces.ids, "pictures": faces.pictures}, partial, words)


def read_faces(path: Path) -> FaceSet:
    with safe_open(path, "np") as file:
        words = file.metadata()
        return FaceSet(
            file.get_tensor("ids"),
            file.get_tensor("pictures"),
            tuple(json.loads(words["captions"])),
            tuple(Attributes(**attributes) for attributes in json.loads(words["attributes"])),
        )
