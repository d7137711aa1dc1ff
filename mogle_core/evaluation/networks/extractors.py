"""Where each metric's network comes from: a weights file or folder, `toy`, or a module of the user.

`PATH` is the published network, read from disk and never downloaded. `MODULE:NAME` is any object that can be
imported; the protocol in each metric's module says what it must do. `toy` stands for the small world's networks.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ...parse.files import read_parser
from ..checksums import sha256
from . import toy
from .architecture import architecture_of
from .clip import load_clip
from .dino import load_dino
from .image_reward import load_image_reward
from .inception import load_inception
from .perceptual import load_lpips

Kind = Literal["inception", "clip", "clip_large", "dino", "parser", "lpips", "image_reward"]

_FROM_DISK: dict[Kind, Callable[[Path, torch.device], Any]] = {
    "inception": load_inception,
    "clip": load_clip,
    "clip_large": load_clip,
    "dino": lambda path, device: load_dino(path, device=device),
    "parser": lambda path, _: read_parser(path),
    "lpips": load_lpips,
    "image_reward": load_image_reward,
}

_TOY: dict[Kind, Callable[[], Any]] = {
    "inception": lambda: toy.ToyFeatures(toy.load_judge()),
    "clip": lambda: toy.ToyClip(toy.load_judge()),
    "clip_large": lambda: toy.ToyFeatures(toy.load_judge()),
    "dino": lambda: toy.ToyKeys(toy.load_judge()),
    "parser": lambda: read_parser(toy.JUDGE),
    "lpips": lambda: toy.toy_distance,
    "image_reward": lambda: toy.ToyReward(toy.ToyClip(toy.load_judge())),
}


@dataclass(frozen=True)
class Extractor:
    """A network, and what a result states about it: its source, the checksum of its weights, a folder's sizes."""

    network: Any
    source: str
    sha256: str | None = None
    architecture: str | None = None


def load_extractor(kind: Kind, source: str, device: torch.device | str = "cpu") -> Extractor:
    """Raises ValueError, with what is there instead, if it cannot be loaded."""
    if source == "toy":
        return Extractor(_TOY[kind](), "toy", sha256(toy.JUDGE))
    path = Path(source)
    if path.exists() or not _names_an_object(source):
        network = _FROM_DISK[kind](path, torch.device(device))
        return Extractor(network, path.name, sha256(path), architecture_of(path))
    return Extractor(_imported(source), source)


def spread_extractor(kind: Kind, source: str, network: Any) -> Extractor:
    """As `load_extractor`, for a network that workers have loaded from the same source."""
    if source == "toy":
        return Extractor(network, "toy", sha256(toy.JUDGE))
    path = Path(source)
    if path.exists() or not _names_an_object(source):
        return Extractor(network, path.name, sha256(path), architecture_of(path))
    return Extractor(network, source)


def load_networks(sources: Mapping[Kind, str], device: str) -> dict[str, Any]:
    """The networks of these sources alone, by their kinds."""
    return {kind: load_extractor(kind, source, device).network for kind, source in sources.items()}


def _names_an_object(source: str) -> bool:
    module, colon, name = source.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _imported(source: str) -> Any:
    module, _, name = source.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{source} cannot be imported ({error}). Give a weights file or folder, or MODULE:NAME of an object in a "
            "module that Python finds (PYTHONPATH)."
        ) from error
