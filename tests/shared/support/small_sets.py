"""Small data sets on disk, and encoders that cost nothing, for the tests of data and cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mogle_core.masks.decouple import index_image
from mogle_core.model.encoders import Encoders, Moments
from mogle_core.support.whole_files import write_png
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.training.config.reading import TrainingConfig


def label_map(number: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A few rectangles that differ with the number. Left and right eye are on their sides."""
    rng = np.random.default_rng(number)
    ids = np.zeros((height, width), dtype=np.uint8)
    ids[8:-4, 8:-8] = 1
    ids[:12] = 13
    ids[20:24, 16:24], ids[20:24, 40:48] = 5, 4
    ids[30 : 34 + int(rng.integers(4)), 28:36] = 2
    ids[-8:, int(rng.integers(8, 20)) :] = 18 if number % 2 else 17
    return ids


def picture(number: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(1000 + number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_set(root: Path, count: int = 6, sizes: Sequence[tuple[int, int]] = ((64, 64),)) -> Path:
    """images/, masks/ and captions.json of `count` pairs. The sizes (height, width) alternate."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        size = sizes[number % len(sizes)]
        Image.fromarray(picture(number, *size)).save(root / f"images/{number}.png")
        write_png(index_image(label_map(number, *size)), root / f"masks/{number}.png")
    captions = {f"{number}.png": [f"Face {number}.", "A face.", f"It is {number}."] for number in range(count)}
    (root / "captions.json").write_text(json.dumps(captions))
    return root


def write_faces(root: Path, count: int, size: int) -> Path:
    """images/, masks/ and captions/ of the toy's drawn faces."""
    for part in ("images", "masks", "captions"):
        (root / part).mkdir()
    for seed in range(count):
        face = draw_face(seed, size)
        Image.fromarray(face.picture).save(root / f"images/{seed}.png")
        Image.fromarray(face.ids).save(root / f"masks/{seed}.png")
        (root / f"captions/{seed}.txt").write_text(face.caption)
    return root


class PlainVAE:
    """Latents made of means and maxima over 8 x 8 pixels. It counts its calls and can be made to fail."""

    fingerprint, has_variance = "plain vae", True

    def __init__(self, fails_after: int | None = None, fingerprint: str = "plain vae") -> None:
        self.encoded, self.fails_after, self.fingerprint = 0, fails_after, fingerprint

    def encode(self, pictures: Tensor) -> Moments:
        self.encoded += len(pictures)
        if self.fails_after is not None and self.encoded > self.fails_after:
            raise RuntimeError("the encoder failed")
        cells = pictures.movedim(-1, 1)
        parts = torch.cat((F.avg_pool2d(cells, 8), F.max_pool2d(cells, 8)), 1).repeat(1, 3, 1, 1)[:, :16]
        return Moments(parts * torch.linspace(-2, 2, 16)[:, None, None], parts - 2)

    def decode(self, latents: Tensor) -> Tensor:
        return F.interpolate(latents[:, :3], scale_factor=8).movedim(1, -1).clamp(0, 1)

    def release(self) -> None:
        pass


class PlainText:
    """Contexts made of the letters of a prompt. It counts its calls."""

    fingerprint, sizes = "plain text", (4, 8, 6)

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.encoded += prompts
        numbers = torch.tensor([[len(text), *map(ord, text[:3].ljust(3)), sum(map(ord, text))] for text in prompts])
        rows = (numbers.float() / 100).sin()
        return rows.repeat(1, 7)[:, :32].view(-1, 4, 8), rows.repeat(1, 2)[:, :6]

    def release(self) -> None:
        pass


def plain_encoders(fails_after: int | None = None) -> Encoders:
    return Encoders(PlainVAE(fails_after), PlainText())


def config(root: Path, **sections: dict[str, Any]) -> TrainingConfig:
    """A configuration for a small set at 64 pixels, cached beside it in float32."""
    tables: dict[str, dict[str, Any]] = {
        "data": {"root": root, "resolution": 64},
        "cache": {"folder": root / "cache", "dtype": "float32"},
        "model": {name: "toy" for name in ("transformer", "vae", "clip_l", "t5xxl")} | {"base_dtype": "float32"},
        "loop": {"steps": 8, "batch": 2, "seed": 5},
        "validation": {"every": 0},
    }
    for name, keys in sections.items():
        tables[name] = {**tables.get(name, {}), **keys}
    return TrainingConfig.model_validate(tables)
