"""The build's last stages: scores of the finished world, and a small version of the paper's Tables 3 to 5."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...model.mixture.network import MoGLEConfig
from ...support.whole_files import write_whole
from ..bench import local_change, measure, remake, score_pictures
from ..drawer.faceset import FaceSet
from ..world import World
from .latents import through_vae

_LOG = logging.getLogger(__name__)

ABLATIONS: Mapping[str, MoGLEConfig] = {
    "both, experts, matrix gate": MoGLEConfig(),
    "only global": MoGLEConfig(experts="global"),
    "only local": MoGLEConfig(experts="local"),
    "static gate": MoGLEConfig(gate="static"),
    "scalar gate": MoGLEConfig(gate="scalar"),
    "experts, no gate": MoGLEConfig(gate="none"),
    "gate, no experts": MoGLEConfig(has_experts=False),
    "no experts, no gate": MoGLEConfig(has_experts=False, gate="none"),
}
"""The paper's rows: experts (Table 3), gates (Table 4), components (Table 5)."""


def pictures_of(world: World, faces: FaceSet) -> dict[str, Tensor]:
    """The held-out faces in four ways, (N, H, W, 3) uint8 each: drawn, through the VAE, and generated."""
    return {
        "drawn": torch.from_numpy(faces.pictures),
        "through the VAE": torch.from_numpy(through_vae(world.vae, faces).pictures),
        "mask and text": remake(world, faces),
        "text alone": remake(world, faces, masked=False),
    }


def score_world(world: World, faces: FaceSet, path: Path) -> dict[str, dict[str, float]]:
    """All scores of the toy world on held-out faces; written to `path` as JSON."""
    scores = {name: score_pictures(world, pictures, faces) for name, pictures in pictures_of(world, faces).items()}
    scores["repainted"] = {"ratio": local_change(world, faces.first(50))}
    write_whole(path, json.dumps(scores, indent=1))
    return scores


def score_ablation(world: World, faces: FaceSet, name: str, path: Path) -> None:
    """Measure one row of the table and add it to the file."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    rows[name] = measure(world, faces)
    _LOG.info("%s: %s", name, rows[name])
    write_whole(path, json.dumps(rows, indent=1))
