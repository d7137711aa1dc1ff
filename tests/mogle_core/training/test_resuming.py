"""What may change when a run goes on, key by key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.toy_run import config, trainer

from mogle_core.training.checkpoints import CheckpointError
from mogle_core.training.config.reading import TrainingConfig, config_toml
from mogle_core.training.resuming import MAY_CHANGE, check_resumable, differences


def changed(**sections: dict[str, Any]) -> TrainingConfig:
    return config(optimiser={"name": "adamw"}, **sections)


@pytest.mark.parametrize(
    "sections",
    [
        {"loop": {"steps": 90, "keep": 7, "checkpoint_every": 3, "accumulate": 2}},
        {"validation": {"every": 250, "steps": 3}},
        {"output": {"name": "another"}},
        {"model": {"transformer": "toy", "base_dtype": "bf16", "gradient_checkpointing": True}},
        {"data": {"root": "elsewhere"}, "cache": {"folder": "elsewhere"}},
    ],
)
def test_what_may_change(sections: dict[str, Any]) -> None:
    state = trainer(changed()).state()
    now = changed(**sections)
    assert list(differences(state.config, now))
    check_resumable(state, now, state.trains)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"timesteps": {"stratified": True}}, "timesteps.stratified was False and is now True"),
        ({"drop": {"text": 0.2}}, "drop.text was 0.1 and is now 0.2"),
        ({"loop": {"seed": 4}}, "loop.seed was 3 and is now 4"),
        ({"validation": {"pairs": 5}}, "validation.pairs was 4 and is now 5"),
        ({"validation": {"every": 0}}, "validation.every was 500 and is now 0"),
        ({"data": {"loss_weights": {"hair": 2}}}, "data.loss_weights was not set and is now {'hair': 2.0}"),
        ({"model": {"init": "other.safetensors"}}, "model.init was not set and is now 'other.safetensors'"),
    ],
)
def test_what_may_not(sections: dict[str, Any], sentence: str) -> None:
    state = trainer(changed()).state()
    with pytest.raises(CheckpointError) as raised:
        check_resumable(state, changed(**sections), state.trains)
    assert sentence in str(raised.value)
    assert "output.name" in str(raised.value)


def test_all_that_differs_is_said_at_once() -> None:
    state = trainer(changed()).state()
    with pytest.raises(CheckpointError, match=r"drop\.text .*; loop\.seed "):
        check_resumable(state, changed(drop={"text": 0.3}, loop={"seed": 9}), state.trains)


def test_paths_may_move_to_another_folder_but_not_to_another_file() -> None:
    state = trainer(changed()).state()
    before = changed(model={"vae": "/old/ae.safetensors"})
    stored = config_toml(before)
    moved = changed(model={"vae": "/new/ae.safetensors"})
    check_resumable(replace(state, config=stored), moved, state.trains)
    with pytest.raises(CheckpointError, match=r"model\.vae was '/old/ae"):
        check_resumable(
            replace(state, config=stored),
            changed(model={"vae": "/old/b.safetensors"}),
            state.trains,
        )


def test_another_network_of_the_same_size_is_refused() -> None:
    """As a file named by model.init can bring one: the keys are the same, and so are all sizes."""
    run = trainer(changed())
    state = run.state()
    other = {**run.trainables.description(), "network": "experts both, gate static"}
    with pytest.raises(CheckpointError, match="the network was 'experts both.* and is now 'experts both, gate static'"):
        check_resumable(state, run.config, other)
    check_resumable(replace(state, trains={}), run.config, other)  # a file from before


def test_every_key_that_may_change_exists() -> None:
    known = TrainingConfig().model_dump()
    for key in MAY_CHANGE:
        section, _, name = key.partition(".")
        assert section in known
        assert not name or name in known[section]


def test_a_state_from_before_contents_counted_goes_on() -> None:
    """Its fingerprint is by the files' sizes. A third one is of other data."""
    resumed = trainer(changed())
    resumed.samples.former_fingerprint = "by sizes"  # type: ignore[attr-defined]
    state = resumed.state()
    resumed.restore(replace(state, step=4, fingerprint="by sizes"))
    assert resumed.step == 4
    assert resumed.state().fingerprint == state.fingerprint
    for other in ("of a third", "", f"{state.fingerprint} by sizes"):
        with pytest.raises(CheckpointError, match="The data set is not the one that this run began with"):
            resumed.restore(replace(state, fingerprint=other))
