"""A LoRA's scale is what its metadata says, or an error; and what the metadata says of a file's purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoint_files import stored
from support.places import DATA
from torch import Tensor

from mogle_core.model.checkpoints.files import read, save
from mogle_core.model.checkpoints.lora_metadata import style_of
from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.stream.lora import parse
from mogle_core.support.errors import WeightsError

GOLDEN = DATA / "golden"
LORA = load_file(GOLDEN / "pytorch_lora_weights.safetensors")


def peft() -> dict[str, Tensor]:
    """The official LoRA in PEFT's names."""
    return {f"base_model.model.{name.removeprefix('transformer.')}": tensor for name, tensor in LORA.items()}


def alpha_of(metadata: dict[str, str], tmp_path: Path, module: str = "img_in") -> float:
    path = stored(tmp_path / "lora.safetensors", LORA, metadata)
    return read(path).lora.parts(module)[0].alpha


def adapter(**values: object) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"transformer.{name}": value for name, value in values.items()})}


@pytest.mark.parametrize(
    ("metadata", "alpha"),
    [
        (adapter(lora_alpha="8", r=4), 8),
        (adapter(lora_alpha=" 2.5 ", r=4), 2.5),
        (adapter(lora_alpha=8, r=4, use_rslora=True), 16),
        (adapter(lora_alpha=8, r=4, use_rslora="true"), 16),
        (adapter(lora_alpha=8, r=4, use_rslora="Yes"), 16),
        (adapter(lora_alpha=8, r=4, use_rslora="1"), 16),
        (adapter(lora_alpha=8, r=4, use_rslora=1), 16),
        (adapter(lora_alpha=8, r=4, use_rslora=False), 8),
        (adapter(lora_alpha=8, r=4, use_rslora="no", peft_type="LORA"), 8),
        (adapter(lora_alpha=8, r=4, use_rslora=None), 8),
        (adapter(lora_alpha=8, r=4, alpha_pattern={"x_embedder": 3}), 3),
        (adapter(lora_alpha=8, r=4, alpha_pattern={"^x_embedder$": "3"}), 3),
        (adapter(lora_alpha=8, r=4, alpha_pattern={"to_q": 3}), 8),
        (adapter(lora_alpha=8, r=16, rank_pattern={"x_embedder": 4}), 8),
        ({"ss_network_alpha": "2"}, 2),
        ({"ss_network_alpha": "2.0", "ss_network_dim": "4"}, 2),
        ({"ss_network_alpha": "None"}, 4),
        ({"ss_network_alpha": "2", **adapter(lora_alpha=8)}, 8),
        ({}, 4),
    ],
)
def test_the_scale_is_what_the_metadata_says(metadata: dict[str, str], alpha: float, tmp_path: Path) -> None:
    assert alpha_of(metadata, tmp_path) == pytest.approx(alpha)


def test_alpha_tensors_count_before_any_metadata(tmp_path: Path) -> None:
    tensors = LORA | {"transformer.x_embedder.alpha": torch.tensor(1.0)}
    path = stored(tmp_path / "lora.safetensors", tensors, adapter(lora_alpha=8, r=4, use_rslora=True))
    assert read(path).lora.parts("img_in")[0].alpha == 1


def test_the_configuration_beside_pefts_file_counts(tmp_path: Path) -> None:
    path = stored(tmp_path / "adapter_model.safetensors", peft())
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8, "use_rslora": True}))
    assert read(path).lora.parts("img_in")[0].alpha == 16


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_the_configuration_beside_pefts_file_is_read_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "adapter_model.safetensors", peft())
    config = json.dumps({"r": 4, "lora_alpha": 8, "base_model_name_or_path": "größer"}, ensure_ascii=False)
    (tmp_path / "adapter_config.json").write_bytes(config.encode(encoding))
    assert read(path).lora.parts("img_in")[0].alpha == 8


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"lora_alpha": 8' + b" " * (1 << 20) + b"}", "adapter_config.json has .* bytes and is not read"),
        (b"\0\1\2", "scale is not known.*adapter_config.json: this is not a text file"),
        (b'{"peft_type": "LOKR"}', "This is LOKR, not LoRA"),
        (b'{"use_rslora": true}', "use_rslora, but no lora_alpha"),
    ],
)
def test_a_configuration_beside_it_that_is_not_read_is_an_error(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "adapter_model.safetensors", peft())
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=sentence):
        read(path)


@pytest.mark.parametrize(
    "note",
    [
        {"mogle.gate_timestep": "sometimes"},
        {"mogle.gate_timestep": "train"},
        {"mogle.latent_lora": "perhaps"},
        {"mogle.add_cond_attn": "2"},
        {"mogle.stream": "fast"},
    ],
)
def test_a_note_that_is_not_known_is_refused(note: dict[str, str], tmp_path: Path) -> None:
    ((name, value),) = note.items()
    path = stored(tmp_path / "lora.safetensors", LORA, note)
    with pytest.raises(WeightsError, match=f"lora.safetensors: The file's {name} is '{value}', and this version knows"):
        read(path)


@pytest.mark.parametrize(
    ("value", "found"), [("training", "training"), (" Training ", "training"), ("SAMPLING", "sampling")]
)
def test_a_note_is_read_in_any_case(value: str, found: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", LORA, {"mogle.gate_timestep": value})
    assert read(path).recipe.gate_timestep == found


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        (adapter(use_dora=True, lora_alpha=8), "This is a DoRA"),
        (adapter(use_dora="yes", lora_alpha=8), "This is a DoRA"),
        (adapter(use_rslora="perhaps", lora_alpha=8), "use_rslora is 'perhaps', not true or false"),
        (adapter(use_rslora=[1], lora_alpha=8), "not true or false"),
        (adapter(peft_type="LOHA", lora_alpha=8), "This is LOHA, not LoRA"),
        (adapter(peft_type="ADALORA", lora_alpha=8), "This is ADALORA, not LoRA"),
        (adapter(lora_alpha=float("nan")), "not a finite number"),
        (adapter(lora_alpha=float("inf")), "not a finite number"),
        (adapter(lora_alpha=True), "not a finite number"),
        (adapter(use_rslora=True), "use_rslora, but no lora_alpha"),
        (adapter(lora_alpha=8, alpha_pattern=[1]), "not a table"),
        (adapter(lora_alpha=8, alpha_pattern={"x_embedder": "wide"}), "other than numbers"),
        (adapter(lora_alpha=8, alpha_pattern={"(a+)+$": 2}), "for the expression"),
        (adapter(lora_alpha=8, rank_pattern={"x_embedder": 7}), "has rank 4; rank_pattern in the metadata says 7"),
        ({"lora_adapter_metadata": "[" * 100_000}, "nested too deeply"),
        ({"lora_adapter_metadata": '{"lora_alpha": ' + "9" * 5000 + "}"}, "cannot be read"),
        ({"lora_adapter_metadata": '{"a": "' + "x" * (1 << 21) + '"}'}, "characters, which is not read"),
        ({"lora_adapter_metadata": '{"lora_alpha": 1' + "0" * 400 + "}"}, "not a finite number"),
    ],
)
def test_a_scale_that_is_not_known_is_an_error(metadata: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"lora.safetensors: .*{sentence}"):
        alpha_of(metadata, tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", '{"lora_alpha": "all"}'])
def test_metadata_that_cannot_be_read_is_a_warning(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert alpha_of({"lora_adapter_metadata": text}, tmp_path) == 4
    assert "alpha = rank is assumed" in caplog.text


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_network_module": "networks.lora_flux", "ss_output_name": "watercolour"},
        {"modelspec.architecture": "flux-1-dev/lora", "modelspec.title": "Watercolour"},
        {"software": "{'name': 'ai-toolkit'}", "name": "watercolour"},
        {"trigger_word": "wtrclr"},
    ],
)
def test_metadata_of_a_style_says_so(metadata: dict[str, str]) -> None:
    assert style_of(metadata) is not None
    assert style_of({**metadata, "mogle.gate_timestep": "training"}) is None


def test_our_own_and_the_official_file_are_no_style(tmp_path: Path) -> None:
    assert style_of(read(GOLDEN / "pytorch_lora_weights.safetensors").metadata) is None
    save(tmp_path / "both.safetensors", None, parse(LORA), Recipe())
    assert style_of(read(tmp_path / "both.safetensors").metadata) is None
