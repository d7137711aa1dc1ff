"""The official YAML: its settings are translated, and those that cannot be translated are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mogle_core.training.config.official import OfficialError, read_official
from mogle_core.training.config.reading import load_config


def official() -> dict[str, Any]:
    """The keys and values of the published file, with a shorter pattern for the layers."""
    layers = "x_embedder norm1.linear to_k to_q to_v to_out ff.net.2 norm.linear proj_mlp proj_out"
    return {
        "sd_path": "checkpoints/FLUX.1-dev",
        "dtype": "bfloat16",
        "model": {"union_cond_attn": True, "add_cond_attn": False, "latent_lora": False},
        "train": {
            "batch_size": 4,
            "accumulate_grad_batches": 1,
            "dataloader_workers": 4,
            "save_interval": 1000,
            "sample_interval": 100,
            "max_steps": -1,
            "gradient_checkpointing": True,
            "save_path": "runs/face-mogle",
            "condition_type": "depth",
            "dataset": {
                "root": "data/mmcelebahq",
                "condition_size": 512,
                "target_size": 512,
                "drop_text_prob": 0.1,
                "drop_image_prob": 0.1,
            },
            "lora_config": {"r": 4, "lora_alpha": 4, "init_lora_weights": "gaussian", "target_modules": layers},
            "optimizer": {
                "type": "Prodigy",
                "params": {"lr": 1, "use_bias_correction": True, "safeguard_warmup": True, "weight_decay": 0.01},
            },
        },
    }


def write(folder: Path, found: Any) -> Path:
    path = folder / "Face-MoGLE.yaml"
    path.write_text(yaml.safe_dump(found))
    return path


def test_its_settings_are_the_training_settings(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, official()), ["loop.batch=8"])
    paper = load_config("paper")
    for section in ("optimiser", "timesteps", "drop", "loop"):
        ours = getattr(config, section).model_dump(exclude={"checkpoint_every"})
        assert ours == getattr(paper, section).model_dump(exclude={"checkpoint_every"})
    assert config.loop.checkpoint_every == 1000
    assert config.validation.every == 100
    assert (config.lora.rank, config.lora.alpha) == (4, 4)
    assert str(config.data.root) == "data/mmcelebahq"
    assert config.data.resolution == (512,)
    assert config.model.t5xxl == "checkpoints/FLUX.1-dev/text_encoder_2"
    assert (str(config.output.folder), config.output.name) == ("runs", "face-mogle")


def test_keys_that_cannot_be_translated_are_reported(tmp_path: Path) -> None:
    found = official()
    found["model"]["latent_lora"] = True
    found["train"]["dataset"]["condition_size"] = 256
    found["train"]["optimizer"]["type"] = "SGD"
    found["train"]["lora_config"]["target_modules"] = "to_q"
    notes = "\n".join(read_official(write(tmp_path, found))[1])
    for expected in (
        "model.latent_lora: True cannot be had",
        "train.dataset.condition_size: 256",
        "train.optimizer.type: SGD cannot be had",
        "train.lora_config.target_modules: these are not the official layers",
        "train.dataloader_workers: 4 has no counterpart",
        "train.max_steps: -1 would run for ever",
        "add --set loop.batch=8",
    ):
        assert expected in notes


def test_no_key_is_ignored_silently(tmp_path: Path) -> None:
    found = official()
    found["train"]["something_new"] = {"deep": 3}
    assert any(note.startswith("train.something_new.deep: 3") for note in read_official(write(tmp_path, found))[1])


@pytest.mark.parametrize("found", [[1, 2], {"model": {}}, "text"])
def test_another_yaml_is_refused(found: Any, tmp_path: Path) -> None:
    with pytest.raises(OfficialError, match=r"Face-MoGLE\.yaml: the section `train` is missing"):
        read_official(write(tmp_path, found))


@pytest.mark.parametrize(
    ("key", "value"),
    [("dataset", "a text"), ("batch_size", None), ("batch_size", "1"), ("max_steps", "many"), ("save_path", None)],
)
def test_a_key_of_another_kind_is_named(key: str, value: Any, tmp_path: Path) -> None:
    found = official()
    found["train"][key] = value
    with pytest.raises(OfficialError, match=rf"train\.{key} is .*; expected"):
        read_official(write(tmp_path, found))


def test_broken_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "Face-MoGLE.yaml"
    path.write_text("train: [1,\n")
    with pytest.raises(OfficialError, match=r"Face-MoGLE\.yaml: this is not YAML"):
        load_config(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_it_is_read_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, official())
    expected = read_official(path)
    path.write_bytes(f"# größer\n{path.read_text()}".encode(encoding))
    assert read_official(path) == expected


REFUSED = {
    "twice": ("train:\n  batch_size: 1\n  batch_size: 2\n", "the key 'batch_size' is given twice"),
    "twice above": ("train: {}\ndtype: a\ntrain: {}\n", "the key 'train' is given twice"),
    "deep": ("train: " + "[" * 5000, "nested too deeply"),
    "deep in braces": ("train: " + "{a: " * 3000, "nested too deeply"),
    "itself": ("train: &a\n  x: *a\n", "a section contains itself"),
    "bomb": (
        "a: &a {k: 1, l: 2}\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} {{k: *{chr(97 + n)}, l: *{chr(97 + n)}}}\n" for n in range(20))
        + "train: *u\n",
        "over 1000 settings",
    ),
    "code": ("train: !!python/object/apply:os.system ['id']\n", "this is not YAML"),
    "picture": ("\x89PNG\r\n\x1a\n\0\0", "this is not a text file"),
    "tab": ("train:\n\tbatch_size: 1\n", "this is not YAML"),
    "true": ("train:\n  batch_size: true\n", "train.batch_size is True; expected a whole number"),
    "date": ("train:\n  batch_size: 2024-01-01\n", "expected a whole number"),
    "no date": ("train:\n  batch_size: 2024-13-41\n", "this is not YAML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_yaml_may_hold_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    text, sentence = REFUSED[case]
    path = tmp_path / "Face-MoGLE.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(OfficialError, match=f"Face-MoGLE.yaml: .*{sentence}"):
        read_official(path)
