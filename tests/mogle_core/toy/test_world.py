"""A world from its files: how they are stored, and identities that hold to the bit with any weights."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.sketch_files import write_sketching

from mogle_core.model.mixture.regions import Region
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.support.errors import WeightsError
from mogle_core.toy.drawer.faceset import HELD_OUT, FaceSet, draw_faces
from mogle_core.toy.drawer.sketching import draw_sketch
from mogle_core.toy.places import FILES
from mogle_core.toy.world import Moment, World, generate, load_world, noise_of


@pytest.fixture(scope="module")
def world(untrained: Path) -> World:
    return load_world(folder=untrained)


@pytest.fixture(scope="module")
def held() -> FaceSet:
    return draw_faces(range(HELD_OUT, HELD_OUT + 10))


def test_files_are_16_bit_and_say_how_they_were_made(untrained: Path) -> None:
    for name in FILES.values():
        with safe_open(untrained / name, "pt") as file:
            assert file.metadata()["toy.made_by"] == "a test"
            names = [name for name in file.keys() if not name.endswith(".alpha")]  # noqa: SIM118
            assert {file.get_tensor(name).dtype for name in names} <= {torch.float16, torch.bfloat16}


def test_the_vocabulary_is_in_the_file(world: World, untrained: Path) -> None:
    with safe_open(untrained / FILES["text"], "pt") as file:
        assert tuple(json.loads(file.metadata()["toy.vocabulary"])) == world.text.vocabulary


@pytest.mark.slow
def test_a_picture_does_not_depend_on_its_batch(world: World, held: FaceSet) -> None:
    ids = torch.from_numpy(held.ids[:3])
    batch = generate(world, ids, held.captions[:3], [7, 8, 9], SamplingOptions(2))
    alone = generate(world, ids[1:2], held.captions[1:2], [8], SamplingOptions(2))
    assert (batch[1].int() - alone[0].int()).abs().max() <= 1
    assert torch.equal(noise_of([7, 8], 128, 128)[1], noise_of([8], 128, 128)[0])


def test_without_a_mask_network_and_lora_do_not_matter(world: World, held: FaceSet) -> None:
    other = replace(world, network=None, lora=None)  # type: ignore[arg-type]
    plain, bare = (generate(w, None, held.captions[:1], [1], SamplingOptions(2)) for w in (world, other))
    assert torch.equal(plain, bare)


@pytest.mark.slow
def test_moments(world: World, held: FaceSet) -> None:
    moments: list[Moment] = []
    generate(world, torch.from_numpy(held.ids[:1]), held.captions[:1], [1], SamplingOptions(3), record=moments.append)
    assert [moment.step for moment in moments] == [0, 1, 2]
    assert moments[0].sigma == 1 > moments[1].sigma > moments[2].sigma > 0
    for moment in moments:
        assert moment.gates is not None
        assert moment.gates.shape == (1, 64, 20)
        assert torch.allclose(moment.gates.sum(-1), torch.ones(1, 64))


@pytest.mark.slow
def test_regions_at_their_defaults_change_no_byte(world: World, held: FaceSet) -> None:
    given = torch.from_numpy(held.ids[:1]), held.captions[:1], [1]
    two, prompted = SamplingOptions(2), partial(generate, world, *given, SamplingOptions(2))
    plain = generate(world, *given, two)
    assert torch.equal(
        generate(world, *given, replace(two, regions=(Region("hair"), Region("skin", 0.3, 0.9, 1.0)))), plain
    )
    assert torch.equal(prompted(region_prompts={}), plain)
    assert not torch.equal(generate(world, *given, replace(two, regions=(Region("hair", 0.0),))), plain)
    assert not torch.equal(prompted(region_prompts={"hair": "red hair"}), plain)


@pytest.mark.slow
def test_a_regions_window_is_on_the_samplings_percent(world: World, held: FaceSet) -> None:
    """Its strength changes the latents from the step on at which its window begins."""
    runs: list[list[Moment]] = [[], [], []]
    windows = ((), (Region("hair", 0.0, 0.4, 1.0),), (Region("hair", 0.0, 0.0, 0.4),))
    for record, regions in zip(runs, windows, strict=True):
        options = SamplingOptions(4, regions=regions)
        generate(world, torch.from_numpy(held.ids[:1]), held.captions[:1], [1], options, record=record.append)
    late, early = (
        [torch.equal(a.latents, b.latents) for a, b in zip(runs[0], other, strict=True)] for other in runs[1:]
    )
    assert late == [True, True, False, False]  # the steps are at 0, 1/4, 1/2 and 3/4
    assert early[0] is False
    gates = [torch.equal(a.gates, b.gates) for a, b in zip(runs[0], runs[1], strict=True)]
    assert gates == [True, True, True, False]  # the gate itself sees only the picture so far


@pytest.mark.slow
def test_region_prompts_one_for_all_or_one_for_each(world: World, held: FaceSet) -> None:
    given = torch.from_numpy(held.ids[:2]), held.captions[:2], [1, 2], SamplingOptions(2)
    same = generate(world, *given, region_prompts={"hair": "red hair"})
    assert torch.equal(generate(world, *given, region_prompts={"hair": ["red hair", "red hair"]}), same)
    mixed = generate(world, *given, region_prompts={"hair": ["red hair", "blue hair"]})
    assert (mixed[0].int() - same[0].int()).abs().max() <= 1
    assert not torch.equal(mixed[1], same[1])


def test_regions_need_a_mask(world: World) -> None:
    with pytest.raises(ValueError, match="need label maps"):
        generate(world, None, ["a woman"], [1], region_prompts={"hair": "red hair"})


def test_a_folder_without_weights_is_an_error_message(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="toy_flux.safetensors is missing. Make them by `mogle toy build`"):
        load_world(folder=tmp_path)


def test_a_sketch_steers_with_or_without_a_mask(untrained: Path, held: FaceSet, tmp_path: Path) -> None:
    world = load_world(untrained, mogle=write_sketching(tmp_path, untrained / FILES["mogle"]))
    sketches = torch.from_numpy(np.stack([draw_sketch(HELD_OUT + number) for number in (0, 1)]))
    ids, prompts, options = torch.from_numpy(held.ids[:1]), held.captions[:1], SamplingOptions(1)
    for given in (None, ids):
        plain, right, wrong = (
            generate(world, given, prompts, [1], options, sketches=drawn)
            for drawn in (None, sketches[:1], sketches[1:])
        )
        assert not torch.equal(right, wrong) and not torch.equal(right, plain)
        on_white = generate(world, given, prompts, [1], options, sketches=255 - sketches[:1])
        assert (on_white.int() - right.int()).abs().max() <= 1


def test_a_sketch_that_the_network_cannot_take(world: World, held: FaceSet) -> None:
    sketch = torch.from_numpy(draw_sketch(HELD_OUT))[None]
    with pytest.raises(ValueError, match="no expert for a sketch"):
        generate(world, None, held.captions[:1], [1], SamplingOptions(1), sketches=sketch)
