"""A checkpoint with an untrained expert for sketches, which steers nothing but has an effect."""

from __future__ import annotations

from pathlib import Path

import torch

from mogle_core.model.checkpoints.files import read, save
from mogle_core.toy.places import FILES, SKETCH_FILE, WEIGHTS
from mogle_core.training.start import with_extra


def write_sketching(
    folder: Path, source: Path = WEIGHTS / FILES["mogle"], extra: tuple[str, ...] = ("sketch",), fresh: bool = False
) -> Path:
    """The toy's network and LoRA with these further experts. fresh: as training begins, so that they add zeros."""
    checkpoint = read(source)
    assert checkpoint.network is not None and checkpoint.lora is not None
    network = with_extra(checkpoint.network, extra, 0)
    generator = torch.Generator().manual_seed(1)
    for expert in () if fresh else network.extra_experts.values():
        weight = expert.net[2].weight
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    path = folder / SKETCH_FILE
    save(path, network.half(), checkpoint.lora.half(), checkpoint.recipe, {"toy.made_by": "a test"})
    return path
