"""Configurations: recipes, changes to them, the resolved file, and an error message for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mogle_core.model.mixture.network import MoGLEConfig
from mogle_core.training.config.reading import ConfigError, TrainingConfig, config_toml, load_config, recipe_names


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_the_defaults_are_the_papers() -> None:
    config = load_config("paper")
    defaults = TrainingConfig()
    for section in ("lora", "optimiser", "timesteps", "drop", "loop"):
        assert getattr(config, section) == getattr(defaults, section)
    assert (config.loop.steps, config.loop.batch, config.loop.seed) == (4000, 8, 42)
    assert (config.drop.text, config.drop.local_mask, config.drop.all_masks) == (0.1, 0.1, 0.0)
    assert (config.optimiser.name, config.optimiser.lr, config.optimiser.clip) == ("prodigy", 1.0, 0.5)
    assert config.model.network.config() == MoGLEConfig()


@pytest.mark.parametrize("name", ["paper", "24gb", "16gb", "static", "toy"])
def test_recipes_are_packaged_and_read_back_equal(name: str, tmp_path: Path) -> None:
    assert name in recipe_names()
    config = load_config(name)
    assert load_config(write(tmp_path, config_toml(config))) == config


def test_changes_on_top_are_toml_values_or_plain_strings() -> None:
    sets = ["loop.steps=20", "output.name=mine", "data.resolution=[256, 512]", "data.flip=true", "data.root=/x/y z"]
    config = load_config("toy", [*sets, "data.loss_weights.hair=2", "model.init = a=b.safetensors"])
    assert (config.loop.steps, config.output.name, config.data.resolution) == (20, "mine", (256, 512))
    assert config.data.flip
    assert str(config.data.root) == "/x/y z"
    assert config.data.loss_weights == {"hair": 2.0}
    assert str(config.model.init) == "a=b.safetensors"


def test_the_rate_follows_the_optimiser(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, '[optimiser]\nname = "adamw"\n')).optimiser.lr == 1e-4
    assert load_config(write(tmp_path, '[optimiser]\nname = "prodigy"\n')).optimiser.lr == 1.0
    assert load_config(write(tmp_path, '[optimiser]\nname = "adamw"\nlr = 0.5\n')).optimiser.lr == 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[loop]\nstps = 3\n", r"loop\.stps is unknown; did you mean steps\?"),
        ("[lop]\nsteps = 3\n", r"lop is unknown; did you mean loop\?"),
        ("[model.network]\ngates = 'static'\n", r"model\.network\.gates is unknown; did you mean gate\?"),
        ("[loop]\nbatch = 'x'\n", r"loop\.batch = 'x': input should be a valid integer"),
        ("[loop]\nbatch = 3\naccumulate = 2\n", "batch 3 does not divide into accumulate 2"),
        ("[data]\nresolution = 500\n", r"data\.resolution = 500: 500 is not a multiple of 16; the nearest one is 496"),
        ("[data]\nresolution = []\n", r"data\.resolution = \[\]: no resolution is given"),
        ("[data]\nlabel_space = 'farll'\n", r"data\.label_space = 'farll'.*did you mean farl\?"),
        ("[data.loss_weights]\nhairs = 2\n", "'hairs' is unknown; did you mean hair"),
        ("[optimiser]\nlr_network = 0.1\n", r"optimiser\.lr_network = 0\.1: prodigy estimates one step size"),
        ("[optimiser]\nname = 'sgd'\n", r"optimiser\.name = 'sgd': input should be 'prodigy', 'adamw' or 'adamw8bit'"),
        ("[drop]\ntext = 1.5\n", r"drop\.text = 1\.5: input should be less than or equal to 1"),
        ("[model]\nbase_dtype = 'fp4'\n", r"model\.base_dtype = 'fp4'"),
        ("[loop\n", "this is not TOML"),
    ],
)
def test_mistakes_name_file_and_key(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"run\.toml: .*{expected}"):
        load_config(write(tmp_path, text))


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "[loop]\nsteps = 0\nseed = 'a'\n[date]\n"))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("source", "sets", "expected"),
    [
        ("papr", [], r"no recipe 'papr': did you mean paper\?"),
        ("/nowhere/run.toml", [], r"no configuration /nowhere/run\.toml.*paper"),
        ("toy", ["loop.steps"], r"--set loop\.steps: write it as section\.key=value"),
        ("toy", ["loop.steps.x=3"], "steps is a value, not a section"),
        ("toy", ["loop.stepz=3"], r"did you mean steps\?"),
    ],
)
def test_wrong_sources_and_changes_are_reported(source: str, sets: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(source, sets)
