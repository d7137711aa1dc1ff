"""The measurement of sketches, on an untrained world whose expert adds nothing yet."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from support.sketch_files import write_sketching

from mogle_core.evaluation.metrics.lines import line_distance
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.toy import sketch_scores
from mogle_core.toy.drawer.faceset import HELD_OUT, draw_faces
from mogle_core.toy.drawer.sketching import DETAILS, OUTLINES, exact_lines
from mogle_core.toy.places import FILES
from mogle_core.toy.sketch_scores import Sketched, sketch_rows, sketched
from mogle_core.toy.world import World, load_world

SEEDS = range(HELD_OUT + 1, HELD_OUT + 3)  # the second has wrinkles


@pytest.fixture(scope="module")
def given() -> Sketched:
    return sketched(draw_faces(SEEDS), SEEDS)


def test_details_are_apart_from_outlines_and_from_each_other(given: Sketched) -> None:
    lines = given.lines
    assert torch.equal(lines["all lines"], torch.maximum(lines["outlines"], lines["details"]))
    parts = [lines[name] > 0 for name in DETAILS]
    assert all(part.any() for part in parts)
    assert not any((one & other).any() for one, other in combinations(parts, 2))
    assert not any(((lines[OUTLINES] > 128) & part).any() for part in parts)
    assert torch.equal(lines[OUTLINES][1], torch.from_numpy(exact_lines(SEEDS[1])[OUTLINES]))


def test_a_fresh_expert_changes_no_row(
    untrained: Path, given: Sketched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a mask, the black masks still are a stream; with one, a sketch that adds zeros changes no bit."""
    made: dict[int, torch.Tensor] = {}

    def remember(world: World, pictures: torch.Tensor, given: Sketched, distance: object) -> dict[str, float]:
        made[len(made)] = pictures
        return {"mask score": 0.0}

    monkeypatch.setattr(sketch_scores, "_scores", remember)
    path = write_sketching(tmp_path, untrained / FILES["mogle"], fresh=True)
    names = [name for name, _ in rows_of(untrained, path, given)]
    rows = dict(zip(names, made.values(), strict=True))
    assert torch.equal(rows["mask and text"], rows["mask and text, weights without sketches"])
    assert torch.equal(rows["mask and text"], rows["mask, sketch and text"])
    assert torch.equal(rows["mask and text"], rows["mask, another face's sketch and text"])
    assert not torch.equal(rows["text alone"], rows["sketch and text"])


@pytest.mark.slow
def test_the_right_sketch_is_another_than_the_wrong_one(untrained: Path, given: Sketched, tmp_path: Path) -> None:
    path = write_sketching(tmp_path, untrained / FILES["mogle"])
    rows = dict(rows_of(untrained, path, given))
    assert rows["sketch and text"] != rows["another face's sketch and text"]
    assert rows["mask and text"] != rows["mask, sketch and text"]
    drawn = rows["the drawn images themselves"]
    # A drawn face has an edge at nearly every one of its lines.
    assert drawn["all lines"] < 1.5 and drawn["outlines"] < 1
    assert all(np.isfinite(list(row.values())).all() for row in rows.values())


def rows_of(untrained: Path, path: Path, given: Sketched) -> list[tuple[str, dict[str, float]]]:
    worlds = (load_world(untrained), load_world(untrained, mogle=path))
    return list(sketch_rows(*worlds, given, line_distance, SamplingOptions(1)))
