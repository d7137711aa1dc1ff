"""The build of the toy: exact resuming, and a short run of all stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.toy.build import STAGES, build
from mogle_core.toy.build.latents import encode_masks
from mogle_core.toy.build.loop import Plan, fit, schedule
from mogle_core.toy.drawer.faceset import draw_faces, read_faces, write_faces
from mogle_core.toy.vae import ToyVAE
from mogle_core.toy.world import encode_masks as encode_exactly
from mogle_core.toy.world import generate, load_world

PLAN = Plan(steps=12, lr=0.05, warmup=3, ema=0.9, save_seconds=1000)


def train(folder: Path, stop: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    calls = 0

    def loss_of(rng: torch.Generator, _step: int) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt
        return model(torch.randn(8, 3, generator=rng)).square().mean()

    plan = PLAN if stop is None else replace(PLAN, save_seconds=0)
    return fit(model, loss_of, plan, folder, "line", seed=3)


def test_a_stopped_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = train(whole)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop=6)
    resumed = train(tmp_path)
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_the_schedule_rises_and_falls() -> None:
    rates = [schedule(step, PLAN) for step in range(PLAN.steps)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < 0.05


def test_mask_latents_are_those_of_the_exact_path() -> None:
    faces = draw_faces(range(2), size=64)
    vae = ToyVAE().requires_grad_(False)
    tokens, rows = encode_masks(vae, faces)

    class Only:
        device = torch.device("cpu")

    world = Only()
    world.vae = vae  # type: ignore[attr-defined]
    exact = encode_exactly(world, torch.from_numpy(faces.ids))  # type: ignore[arg-type]
    packed = exact.unflatten(-1, (-1, 2)).unflatten(3, (-1, 2)).permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)
    found = tokens[rows].float()
    assert (found - packed).abs().max() < 0.03 * packed.abs().max()  # bfloat16 against float32
    absent = [number for number in range(19) if not (faces.ids[0] == number).any()]
    assert absent
    assert not rows[0, [1 + number for number in absent]].any()


def test_a_face_set_survives_its_file(tmp_path: Path) -> None:
    faces = draw_faces(range(2), size=32)
    write_faces(tmp_path / "faces.safetensors", faces)
    read = read_faces(tmp_path / "faces.safetensors")
    assert (read.ids == faces.ids).all()
    assert (read.pictures == faces.pictures).all()
    assert read.captions == faces.captions
    assert read.attributes == faces.attributes


def test_an_unknown_stage_is_named() -> None:
    with pytest.raises(ValueError, match="'vea': choose from draw, vae"):
        build(Path("out"), Path("work"), stages=["vea"])


def test_rehearsal(tmp_path: Path) -> None:
    """All stages except the scores, with very few steps, make files that load and generate."""
    build(tmp_path / "out", tmp_path / "work", stages=list(STAGES)[:6], budget=0.0005)
    world = load_world(tmp_path / "out")
    assert world.recipe.gate_timestep == "training"
    pictures = generate(world, None, ["a woman with red hair"], [1], SamplingOptions(1), size=(32, 32))
    assert pictures.shape == (1, 32, 32, 3)
