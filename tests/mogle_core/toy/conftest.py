"""A toy world without training: the names and layouts of the real files, small enough to sample from in a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.mixture.network import MoGLE
from mogle_core.toy.drawer.faces import draw_portrait
from mogle_core.toy.files import RECIPE, write_world
from mogle_core.toy.judge import Judge
from mogle_core.toy.text import CONTEXT_WIDTH, POOLED_WIDTH, ToyText, collect_vocabulary
from mogle_core.toy.vae import ToyVAE
from mogle_core.toy.world import World
from mogle_core.training.start import fresh_lora

SIZES = FluxParams(
    vec_in_dim=POOLED_WIDTH, context_in_dim=CONTEXT_WIDTH, hidden_size=128, num_heads=1, depth=1, depth_single_blocks=1
)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of a world with random weights, written like the trained ones."""
    torch.manual_seed(0)
    flux = Flux(SIZES)
    world = World(
        flux=flux,
        vae=ToyVAE(),
        text=ToyText(collect_vocabulary(draw_portrait(seed)[1] for seed in range(50))),
        judge=Judge(),
        network=MoGLE(),
        lora=fresh_lora(flux, 4, torch.Generator().manual_seed(0)),
        recipe=RECIPE,
    )
    folder = tmp_path_factory.mktemp("untrained")
    write_world(world, folder, {"toy.made_by": "a test"})
    return folder
