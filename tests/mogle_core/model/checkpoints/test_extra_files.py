"""Checkpoints with experts for further conditions, in an order that the file states."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open
from support.checkpoint_files import refused, same, stored

from mogle_core.model.checkpoints.files import read_network, save
from mogle_core.model.checkpoints.recipe import Recipe, config_metadata
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig, to_official


def with_conditions(*names: str) -> MoGLE:
    return MoGLE(MoGLEConfig(extra=names))


@pytest.mark.parametrize("names", [("sketch",), ("sketch", "landmarks"), ("landmarks", "sketch")])
def test_further_conditions_there_and_back_in_their_order(names: tuple[str, ...], tmp_path: Path) -> None:
    made = with_conditions(*names)
    save(tmp_path / "x.safetensors", made, None, Recipe())
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata()["mogle.extra"] == ",".join(names)
        assert {f"mogle.extra_experts.{name}.net.2.bias" for name in names} < set(file.keys())
    back = read_network(tmp_path / "x.safetensors").network
    assert back.config == made.config and same(made, back)


def test_without_further_conditions_nothing_is_said_of_them(tmp_path: Path) -> None:
    """Also where the file was made from one that has some."""
    save(tmp_path / "x.safetensors", MoGLE(), None, Recipe(), {"mogle.extra": "sketch"})
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert not [name for name in (*file.metadata(), *file.keys()) if "extra" in name]


def test_the_order_of_further_conditions_must_be_stated(tmp_path: Path) -> None:
    made = with_conditions("sketch")
    tensors = {f"mogle.{name}": tensor for name, tensor in to_official(made.state_dict(), made.config).items()}
    refused(stored(tmp_path / "x.safetensors", tensors), "has experts for sketch, and no note 'mogle.extra'")
    notes = {**config_metadata(made.config), "mogle.extra": "sketch,landmarks"}
    refused(stored(tmp_path / "y.safetensors", tensors, notes), "extra_experts.landmarks.net.0.weight")
    notes["mogle.extra"] = "../x"
    refused(stored(tmp_path / "z.safetensors", tensors, notes), "cannot be the name of a further condition")
