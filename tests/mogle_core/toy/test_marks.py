"""The embedded toy world still reaches its scores, checked coarsely on few faces. docs/toy_world.md has 200."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mogle_core.model.flux_latents import pack
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.toy.bench import local_change, remake, score_pictures
from mogle_core.toy.drawer.faceset import HELD_OUT, FaceSet, draw_faces
from mogle_core.toy.drawer.sketching import draw_sketch
from mogle_core.toy.places import FILES, SKETCH_FILE, WEIGHTS
from mogle_core.toy.world import World, load_world, noise_of, sample

pytestmark = pytest.mark.slow

COUNT = 12


@pytest.fixture(scope="module")
def world() -> World:
    return load_world()


@pytest.fixture(scope="module")
def held() -> FaceSet:
    return draw_faces(range(HELD_OUT, HELD_OUT + COUNT))


@pytest.fixture(scope="module")
def masked(world: World, held: FaceSet) -> dict[str, float]:
    return score_pictures(world, remake(world, held), held)


@pytest.fixture(scope="module")
def unmasked(world: World, held: FaceSet) -> dict[str, float]:
    return score_pictures(world, remake(world, held, masked=False), held)


def test_the_weights_are_small() -> None:
    assert sum((WEIGHTS / name).stat().st_size for name in FILES.values()) <= 16_000_000
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 18_000_000


def test_the_judge_reads_drawings(world: World, held: FaceSet) -> None:
    assert score_pictures(world, torch.from_numpy(held.pictures), held)["mask"] > 0.87


def test_faces_follow_their_mask(masked: dict[str, float], unmasked: dict[str, float]) -> None:
    assert masked["mask"] > 0.7
    assert masked["mask"] > unmasked["mask"] + 0.22


def test_faces_follow_their_sketch_and_not_anothers(held: FaceSet) -> None:
    """Without a mask, by the network for sketches."""
    world = load_world(mogle=WEIGHTS / SKETCH_FILE)
    right = torch.from_numpy(np.stack([draw_sketch(HELD_OUT + number) for number in range(COUNT)]))
    one, other = (
        score_pictures(world, remake(world, held, masked=False, sketches=sketches), held)
        for sketches in (right, right.roll(1, 0))
    )
    assert one["mask"] > other["mask"] + 0.06


def test_words_keep_the_colour(masked: dict[str, float], unmasked: dict[str, float]) -> None:
    assert masked["hair"] >= 0.75
    assert unmasked["hair"] >= 0.75


def test_what_is_repainted_changes(world: World, held: FaceSet) -> None:
    assert local_change(world, held.first(6)) > 2


def test_without_network_and_lora_it_is_the_base_to_the_bit(world: World) -> None:
    """No token attends to the mask stream, so the image tokens are those of a pass without a mask."""
    text, noise = world.text.encode(["a woman with red hair"]), noise_of([0], 128, 128)
    plain = sample(world, None, text, noise, SamplingOptions(2))
    assert torch.equal(plain, _with_empty_stream(world, text, noise))


def _with_empty_stream(world: World, text: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    flux = world.flux

    class Unseen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.img_in = flux.img_in  # tells device and dtype

        def forward(self, *args: object) -> Tensor:
            *rest, mask = args
            assert mask is None
            nothing = MaskCondition(pack(noise)[:, :0], (0, 0))
            return flux(*rest, nothing)

    return sample(replace(world, flux=Unseen()), None, text, noise, SamplingOptions(2))  # type: ignore[arg-type]
