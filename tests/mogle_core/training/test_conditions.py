"""Further conditions in training: old runs keep their bits, and a new expert starts from exactly what was there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.small_sets import config, picture, plain_encoders, write_set

from mogle_core.dataset import DatasetError
from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.checkpoints.files import read_network
from mogle_core.model.conditions import KINDS
from mogle_core.toy.places import FILES, WEIGHTS
from mogle_core.training.config.reading import ConfigError, TrainingConfig, config_toml, load_config
from mogle_core.training.data.cache import make_plan
from mogle_core.training.data.conditions import read_condition
from mogle_core.training.data.draws import DropRates, draw_samples
from mogle_core.training.data.items import find_items
from mogle_core.training.data.samples import EncodedSamples, open_samples
from mogle_core.training.data.schedule import Pick
from mogle_core.training.dryrun import report
from mogle_core.training.loop import Trainer
from mogle_core.training.run import models, train
from mogle_core.training.step import dropped
from mogle_core.training.validation import Models, measure

CPU = torch.device("cpu")
SKETCH = {"kinds": ("sketch",)}
BOTH = {"kinds": ("sketch", "landmarks"), "styles": {"sketch": 3}, "drop": {"sketch": 0.5}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set")


def write_sketches(root: Path, count: int = 6) -> None:
    (root / "sketches").mkdir()
    for number in range(count):
        drawn = np.zeros((64, 64), np.uint8)
        drawn[8 + number, 4:40] = 255
        Image.fromarray(drawn).save(root / f"sketches/{number}.png")


def batch(given: TrainingConfig, picks: list[Pick]) -> torch.Tensor:
    return open_samples(given, plain_encoders()).batch(picks, CPU).masks


PICKS = [Pick(pair, sample) for pair, sample in ((0, 0), (1, 1), (2, 2), (3, 3))]


@pytest.mark.parametrize("conditions", [BOTH, {**BOTH, "folders": {"sketch": Path("sketches")}, "styles": {}}])
@pytest.mark.parametrize("flip", [False, True])
def test_the_cache_gives_what_is_encoded_on_demand(conditions: dict[str, Any], flip: bool, root: Path) -> None:
    write_sketches(root)
    sections = {"conditions": conditions, "data": {"root": root, "resolution": 64, "flip": flip}}
    picks = [pick for step in range(8) for pick in scheduled(config(root, **sections), step)]
    direct = batch(config(root, **sections, cache={"where": "none", "dtype": "float32"}), picks)
    stored = config(root, **sections)
    assert torch.equal(batch(stored, picks), direct)
    encoders = plain_encoders()
    again = open_samples(stored, encoders)
    assert all(again.stored(pick) for pick in picks)
    assert torch.equal(again.batch(picks, CPU).masks, direct) and encoders.vae.encoded == 0  # type: ignore[attr-defined]
    assert direct.shape[1] == NUM_MASKS + 2


def scheduled(given: TrainingConfig, step: int) -> list[Pick]:
    from mogle_core.training.data.schedule import Schedule

    return list(Schedule([(4, 4)] * 6, given.loop.batch, given.loop.seed).step(step))


def test_the_samples_number_picks_the_style(root: Path) -> None:
    given = config(root, conditions={"kinds": ["sketch"], "styles": {"sketch": 3}}, cache={"where": "none"})
    samples = open_samples(given, plain_encoders())
    shown = [samples.batch([Pick(0, number)], CPU).masks[0, NUM_MASKS] for number in range(6)]
    assert all(torch.equal(shown[number], shown[number + 3]) for number in range(3))
    assert not torch.equal(shown[0], shown[1])


def test_without_conditions_everything_is_as_it_was(root: Path) -> None:
    plain, with_ = config(root), config(root, conditions=BOTH)
    assert torch.equal(batch(plain, PICKS), batch(with_, PICKS)[:, :NUM_MASKS])
    items = find_items(plain.data)
    assert "conditions" not in EncodedSamples(plain, plain_encoders(), items, None).fingerprint  # type: ignore[arg-type]
    plan = make_plan(plain, items, plain_encoders())
    plan.save(root / "plan.safetensors")
    assert b"conditions" not in (root / "plan.safetensors").read_bytes()
    again = type(plan).load(root / "plan.safetensors")
    assert again.conditions.size == 0 and np.array_equal(again.masks, plan.masks)


def test_new_draws_come_after_the_old_ones() -> None:
    numbers = [3, 8, 21]
    for rates in (DropRates(), DropRates(all_masks=0.5)):
        old = draw_samples(0, "train", numbers, 6, rates)
        new = draw_samples(0, "train", numbers, 6, DropRates(rates.text, rates.local_mask, rates.all_masks, (0.5, 0.5)))
        for name in ("t", "noise", "drop_text", "drop_masks"):
            assert torch.equal(getattr(old, name), getattr(new, name)), name
        assert old.drop_extra is None and new.drop_extra is not None and new.drop_extra.shape == (3, 2)


def test_a_dropped_condition_is_one_that_is_not_given(root: Path) -> None:
    samples = open_samples(config(root, conditions=BOTH), plain_encoders())
    whole = samples.batch(PICKS, CPU)
    draws = draw_samples(0, "train", [0, 1, 2, 3], whole.x0.shape[1], DropRates(0.0, 0.0, 0.0, (1.0, 0.0)))
    left = dropped(whole, draws, samples.blanks(whole.grid, CPU)).masks
    assert (left[:, NUM_MASKS] == 0).all() and torch.equal(left[:, NUM_MASKS + 1], whole.masks[:, NUM_MASKS + 1])
    assert torch.equal(left[:, :NUM_MASKS], whole.masks[:, :NUM_MASKS])


def test_a_mirrored_face_has_its_sketch_and_landmarks_mirrored(root: Path) -> None:
    write_sketches(root)
    given = config(root, conditions={"kinds": ["sketch", "landmarks"], "folders": {"sketch": "sketches"}})
    item = find_items(given.data)[2]
    for kind in ("sketch", "landmarks"):
        straight, turned = (
            read_condition(item, kind, 0, given.conditions, given.data, mirrored) for mirrored in (False, True)
        )
        expected = KINDS[kind].mirror(straight[None])[0]
        assert (turned - expected).abs().mean() < 0.02 and (turned - straight).abs().mean() > 0.005


def test_a_face_without_a_sketch_is_named(root: Path) -> None:
    write_sketches(root, 4)
    given = config(root, conditions={"kinds": ["sketch"], "folders": {"sketch": "sketches"}})
    with pytest.raises(DatasetError, match="sketches has no sketch for 4: add 4.png"):
        open_samples(given, plain_encoders())


def test_a_folder_of_label_maps_is_not_taken_for_landmarks(root: Path) -> None:
    """Resized as a picture, ids between two ids would be other classes."""
    given = config(root, conditions={"kinds": ["landmarks"], "folders": {"landmarks": "masks"}})
    with pytest.raises(DatasetError, match="holds no drawn landmarks"):
        open_samples(given, plain_encoders()).batch(PICKS, CPU)


def test_changed_sketches_are_another_data_set(root: Path) -> None:
    write_sketches(root)
    given = config(root, conditions={"kinds": ["sketch"], "folders": {"sketch": "sketches"}})
    before = open_samples(given, plain_encoders()).fingerprint
    Image.fromarray(picture(7)).save(root / "sketches/0.png")
    assert open_samples(given, plain_encoders()).fingerprint != before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('kinds = ["sketsh"]', "did you mean sketch?"),
        ('kinds = ["sketch", "sketch"]', "name each kind once"),
        ('kinds = ["sketch"]\ndrop = {landmarks = 0.1}', "'landmarks' is not among conditions.kinds"),
        ('kinds = ["landmarks"]\nstyles = {landmarks = 2}', "landmarks has 1 styles, and 2 are asked for"),
        ('kinds = ["sketch"]\ndrop = {sketch = 2}', "conditions.drop.sketch"),
    ],
)
def test_a_wrong_section(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f"[conditions]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "x.toml")
    assert sentence in str(caught.value)


def test_the_section_there_and_back(tmp_path: Path) -> None:
    given = config(tmp_path, conditions={**BOTH, "folders": {"landmarks": "marks"}})
    (tmp_path / "x.toml").write_text(config_toml(given))
    assert load_config(tmp_path / "x.toml").conditions == given.conditions
    assert given.conditions.rates == (0.5, 0.1)


def test_the_dry_run_counts_them(root: Path) -> None:
    plain, with_ = ("\n".join(report(config(root, **sections))) for sections in ({}, {"conditions": SKETCH}))
    assert "(2, 20, 16, 64)" in plain and "conditions" not in plain
    assert "(2, 21, 16, 64)" in with_ and "conditions   at most " in with_


def started(root: Path, out: Path, **sections: dict[str, Any]) -> TrainingConfig:
    """A short run from the embedded toy checkpoint."""
    tables: dict[str, dict[str, Any]] = {
        "data": {"root": root, "resolution": 64, "latents": "mean"},
        "cache": {"where": "memory"},
        "model": {
            "init": WEIGHTS / FILES["mogle"],
            "transformer": "toy",
            "vae": "toy",
            "clip_l": "toy",
            "t5xxl": "toy",
        },
        "validation": {"every": 100, "pairs": 1, "steps": 1},
        "loop": {"steps": 4, "batch": 2},
        "output": {"folder": out},
    }
    for name, keys in sections.items():
        tables[name] = {**tables.get(name, {}), **keys}
    return config(root, **tables)


def validated(given: TrainingConfig) -> dict[str, float]:
    samples = open_samples(given)
    flux, trainables = models(given, CPU)
    trainer = Trainer(given, flux, trainables, samples, samples.training)
    now = Models(flux, *trainables.filled(trainables.vectors), True, trainer.recipe())
    return measure(now, samples, samples.held_out, 0, CPU)


def test_a_fresh_experts_first_validation_is_the_old_checkpoints(root: Path, tmp_path: Path) -> None:
    before, after = validated(started(root, tmp_path)), validated(started(root, tmp_path, conditions=BOTH))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"gate_sketch", "gate_landmarks"}
    assert after["gate_sketch"] == 0.5


KILLED_IN_STEP_3 = """
import os, signal, sys
from mogle_core.toy.registration import register_toy
from mogle_core.training.config.reading import load_config
from mogle_core.training.loop import Trainer
from mogle_core.training.run import train
register_toy()
take_step = Trainer.take_step
def die(self):
    if self.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(self)
Trainer.take_step = die
train(load_config(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_and_resumed_with_a_new_expert_is_one_run_to_the_bit(root: Path, tmp_path: Path) -> None:
    """Both files, byte for byte. The expert has learnt, so that there is something to lose."""
    loop: dict[str, Any] = {"checkpoint_every": 2, "resume": "auto"}
    whole = train(started(root, tmp_path / "whole", conditions=SKETCH, loop=loop))
    (tmp_path / "run.toml").write_text(config_toml(started(root, tmp_path / "killed", conditions=SKETCH, loop=loop)))
    command = [sys.executable, "-c", KILLED_IN_STEP_3, str(tmp_path / "run.toml")]
    # As many threads as here, because sums over another number of them round differently.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = (tmp_path / "killed").glob("*/checkpoints")
    assert [path.name for path in folder.glob("*.pt")] == ["step_00000002.pt"]
    resumed = train(load_config(tmp_path / "run.toml"))
    assert whole is not None and resumed is not None and resumed.parent == folder.parent
    one, other = (load_file(path) for path in (whole, resumed))
    assert one.keys() == other.keys() and "mogle.extra_experts.sketch.net.2.weight" in one
    assert not [name for name in one if not torch.equal(one[name], other[name])]
    assert one["mogle.extra_experts.sketch.net.2.weight"].any()


@pytest.mark.slow
def test_stopped_and_resumed_with_a_new_expert_is_one_run_to_the_bit(root: Path, tmp_path: Path) -> None:
    loop: dict[str, Any] = {"checkpoint_every": 2}
    whole = train(started(root, tmp_path / "a", conditions=SKETCH, loop=loop))
    assert whole is not None
    assert (whole.parent / "validation/step_00000000.png").exists()
    assert Image.open(whole.parent / "validation/step_00000000.png").width == 4 * 64  # mask, sketch, picture, overlay
    loop["resume"] = str(whole.parent / "checkpoints/step_00000002.pt")
    parts = train(started(root, tmp_path / "b", conditions=SKETCH, loop=loop))
    assert parts is not None
    one, other = (read_network(path) for path in (whole, parts))
    assert one.network.config.extra == ("sketch",)
    old = read_network(WEIGHTS / FILES["mogle"]).network
    assert not torch.equal(one.network.extra_experts["sketch"].net[2].weight, torch.zeros(64, 32))
    assert not torch.equal(one.network.gating.gate[0].weight, old.gating.gate[0].weight)  # type: ignore[union-attr]
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(one.lora.parameters(), other.lora.parameters(), strict=True):  # type: ignore[union-attr]
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="conditions.kinds was"):
        train(started(root, tmp_path / "c", loop=loop))
