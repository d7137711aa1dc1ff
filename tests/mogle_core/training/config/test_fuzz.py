"""Whatever a configuration holds, reading gives a configuration or a ConfigError. MOGLE_FUZZ=10000 for more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mogle_core.training.config.official import OfficialError
from mogle_core.training.config.reading import ConfigError, load_config
from mogle_core.training.config.sections import TrainingConfig

fuzz = settings(
    max_examples=int(os.environ.get("MOGLE_FUZZ", 60)), deadline=None, suppress_health_check=list(HealthCheck)
)
SECTIONS = list(TrainingConfig.model_fields)
KEYS = sorted(
    {
        key
        for field in TrainingConfig.model_fields.values()
        for key in getattr(field.annotation, "model_fields", {"x": None})
    }
)
plain = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8) | st.dates()
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=2),
    max_leaves=4,
)
tables = st.dictionaries(
    st.sampled_from([*SECTIONS, "train", "model", "dataset"]) | st.text(min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(KEYS) | st.text(min_size=1, max_size=6), values, max_size=4) | values,
    max_size=4,
)


def tried(path: Path, *sets: str) -> None:
    try:
        load_config(path, sets)
    except (ConfigError, OfficialError) as error:
        assert len(str(error)) > 10


@fuzz
@given(table=tables)
def test_any_toml(table: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(tomli_w.dumps(table).encode("utf-8", "replace"))
    tried(path)


@fuzz
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16")))
def test_any_file(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    for ending in ("toml", "yaml"):
        path = tmp_path_factory.getbasetemp() / f"fuzz.{ending}"
        path.write_bytes(content)
        tried(path)


@fuzz
@given(table=tables)
def test_any_yaml(table: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(yaml.safe_dump(table), "utf-8")
    tried(path)


LINES = [
    "train:", "  batch_size: 4", "  dataset: &d", "    root: a", "    target_size: 512", "  <<: *d", "  x: *d",
    "model: *d", "  lora_config: {r: 4, target_modules: [a, *d]}", "  max_steps: -1", "dtype: bfloat16", "? [a, b]",
    "  ? {a: 1}", "- x",
    "  save_path: 2024-13-41", "  optimizer: {type: AdamW, params: {lr: 1e-4, betas: [0.9]}}", "!!binary aGk=", "\t",
    "  accumulate_grad_batches: 0x10", "flux_path: [1]", "...", "---", "%YAML 1.1", "  dataset: &d [*d]",
]  # fmt: skip


@fuzz
@given(lines=st.lists(st.sampled_from(LINES) | st.text(max_size=12), max_size=9))
def test_any_lines_of_yaml(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.yaml"
    path.write_text("\n".join(lines), "utf-8")
    tried(path)


@fuzz
@given(
    text=st.text(max_size=30)
    | st.tuples(st.sampled_from(KEYS), st.text(max_size=9)).map(lambda t: f"loop.{t[0]}={t[1]}")
)
def test_any_set(text: str) -> None:
    try:
        load_config("toy", [text])
    except (ConfigError, OfficialError) as error:
        assert len(str(error)) > 10
