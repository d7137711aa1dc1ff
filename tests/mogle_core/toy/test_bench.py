"""The benchmark's questions about regions, on an untrained world."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mogle_core.model.mixture.regions import Region
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.model.stream.refresh import Refresh
from mogle_core.toy import bench
from mogle_core.toy.drawer.faceset import HELD_OUT, FaceSet, draw_faces
from mogle_core.toy.world import World, load_world


@pytest.fixture(scope="module")
def world(untrained: Path) -> World:
    return load_world(folder=untrained)


@pytest.fixture(scope="module")
def held() -> FaceSet:
    return draw_faces(range(HELD_OUT, HELD_OUT + 3), size=64)


def test_region_colour_counts_what_was_asked(world: World, held: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """If hair is always brown, the second colour in the list, one face of three is right."""
    asked: list[str] = []

    def brown(world: World, faces: FaceSet, hair_prompts: tuple[str, ...] = (), **settings: object) -> torch.Tensor:
        assert not any("hair" in caption for caption in faces.captions)
        asked.extend(hair_prompts)
        pictures = torch.from_numpy(faces.pictures).clone()
        pictures[torch.from_numpy(faces.ids) == 13] = torch.tensor([100, 60, 36 + len(hair_prompts)], dtype=torch.uint8)
        return pictures

    monkeypatch.setattr(bench, "remake", brown)
    scores = bench.region_colour(world, held, "{} hair")
    assert asked == ["black hair", "brown hair", "blond hair"]
    assert scores == pytest.approx({"asked": 1 / 3, "unasked": 1 / 3, "there": 1.0, "elsewhere": 0.0})


def test_recoloured_captions_change_one_word(held: FaceSet) -> None:
    for before, after in zip(held.captions, bench.recoloured(held, ["pink"] * len(held)), strict=True):
        words = [(a, b) for a, b in zip(before.split(), after.split(), strict=True) if a != b]
        assert [b for _, b in words] == ["pink"]
        assert "pink hair" in after


def test_region_colour_runs(world: World, held: FaceSet) -> None:
    scores = bench.region_colour(world, held.first(1), options=SamplingOptions(1))
    assert 0 <= scores["asked"] <= 1
    assert scores["there"] > 0


def test_region_control_at_strength_one_is_no_control(world: World, held: FaceSet) -> None:
    rows = bench.region_control(
        world, held.first(1), [Region("hair"), Region("hair", 0.0, 0.2, 0.8)], SamplingOptions(1)
    )
    assert rows[0]["change"] == 0
    assert [(row["strength"], row["start"], row["end"]) for row in rows] == [(1.0, 0.0, 1.0), (0.0, 0.2, 0.8)]
    assert all(0 <= row["region"] <= 1 and 0 <= row["others"] <= 1 for row in rows)


def test_controls_of_hair_are_strengths_and_growing_windows() -> None:
    controls = bench.hair_controls()
    assert [one.strength for one in controls[:3]] == [0.0, 0.5, 1.0]
    assert [one.end_percent for one in controls[3:]] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.slow
def test_a_speed_option_that_saves_nothing_costs_nothing(world: World, held: FaceSet) -> None:
    """With two steps, both are refreshed. Half the tokens are different tokens, so the images differ."""
    options = {
        "none": SamplingOptions(2, refresh=Refresh(2, "dense early")),
        "half": SamplingOptions(2, mask_tokens="half"),
    }
    rows = dict(bench.speed_prices(world, held.first(2), options, SamplingOptions(2)))
    assert list(rows) == ["exact", "none", "half"]
    scores = bench.measure(world, held.first(2), options=SamplingOptions(2))
    assert rows["exact"] == {"computed": 2, **scores, "colour": 0.0}
    assert rows["none"] == rows["exact"]
    assert rows["half"]["colour"] > 0


def test_speed_is_a_mean_over_noises_and_counts_computed_steps(world: World, held: FaceSet) -> None:
    options = {"once": SamplingOptions(3, refresh=Refresh(0))}
    faces, exact = held.first(2), SamplingOptions(3)
    rows = dict(bench.speed_prices(world, faces, options, exact, noises=2))
    assert (rows["exact"]["computed"], rows["once"]["computed"]) == (3, 1)
    pictures = [bench.remake(world, faces, options=exact, noise=noise) for noise in (0, 1)]
    assert not torch.equal(*pictures)
    scores = [bench.score_pictures(world, made, faces)["mask"] for made in pictures]
    assert rows["exact"]["mask"] == pytest.approx(sum(scores) / 2)
