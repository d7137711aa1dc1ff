"""Converts the official repository's training configuration, `config/Face-MoGLE.yaml`, to our sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from ...support.texts import TextError, read_text

Note = str
Place = tuple[str, ...]
"""A key's place in our file, such as ("loop", "steps")."""

_NO_COUNTERPART = "has no counterpart and is left out"
_OPTIMISERS = {"Prodigy": "prodigy", "AdamW": "adamw"}
_DTYPES = {"bfloat16": "bf16", "float32": "float32"}
_TARGETS = ("x_embedder", "norm1", "to_k", "to_q", "to_v", "to_out", "ff", "proj_mlp", "proj_out", "norm")

MOST = 1000
"""The official file has 34 settings. With anchors, a short file can expand to any number of them."""

# keys with the same meaning there and here
_SAME: Mapping[str, Place] = {
    "train.save_interval": ("loop", "checkpoint_every"),
    "train.sample_interval": ("validation", "every"),
    "train.gradient_checkpointing": ("model", "gradient_checkpointing"),
    "train.gradient_clip_val": ("optimiser", "clip"),
    "train.accumulate_grad_batches": ("loop", "accumulate"),
    "train.dataset.root": ("data", "root"),
    "train.dataset.target_size": ("data", "resolution"),
    "train.dataset.drop_text_prob": ("drop", "text"),
    "train.dataset.drop_image_prob": ("drop", "local_mask"),
    "train.lora_config.r": ("lora", "rank"),
    "train.lora_config.lora_alpha": ("lora", "alpha"),
    "train.optimizer.params.lr": ("optimiser", "lr"),
    "train.optimizer.params.weight_decay": ("optimiser", "weight_decay"),
    "train.optimizer.params.betas": ("optimiser", "betas"),
}

# values that are fixed here; no others are supported
_FIXED: Mapping[str, Any] = {
    "model.union_cond_attn": True,
    "model.add_cond_attn": False,
    "model.latent_lora": False,
    "model.independent_condition": False,
    "train.lora_config.init_lora_weights": "gaussian",
    "train.optimizer.params.use_bias_correction": True,
    "train.optimizer.params.safeguard_warmup": True,
}


class OfficialError(ValueError):
    """The YAML file is not the official configuration."""


def read_official(path: Path) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Our tables, and a message for each setting that differs here or is not supported.

    Raises:
        OfficialError: the file is not YAML, or does not have the official structure.
    """
    found = _yaml(path)
    if not isinstance(found, dict) or not isinstance(found.get("train"), dict):
        raise OfficialError(f"{path}: the section `train` is missing; expected the official Face-MoGLE.yaml.")
    tables: dict[str, Any] = {"data": {"layout": "mm-celeba"}}
    notes: list[Note] = []
    for key, value in _settings(path, found):
        try:
            notes += [f"{key}: {note}" for note in _place(tables, key, value)]
        except (TypeError, ValueError) as error:
            raise OfficialError(f"{path}: {key} is {value!r}; expected a value as the official file has it.") from error
    dataset = found["train"].get("dataset") or {}
    if not isinstance(dataset, dict):
        raise OfficialError(f"{path}: train.dataset is {dataset!r}; expected a section with its settings.")
    _sizes(dataset, notes)
    for key in ("batch_size", "accumulate_grad_batches"):
        if type(found["train"].get(key, 1)) is not int:
            raise OfficialError(f"{path}: train.{key} is {found['train'][key]!r}; expected a whole number.")
    _batch(tables, found["train"], notes)
    return tables, tuple(notes)


def _yaml(path: Path) -> Any:
    try:
        return yaml.load(read_text(path), _Loader)  # noqa: S506  # a SafeLoader
    except TextError as error:
        raise OfficialError(str(error)) from error
    except RecursionError as error:
        raise OfficialError(f"{path}: the file is nested too deeply; expected the official Face-MoGLE.yaml.") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise OfficialError(f"{path}: this is not YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """Refuses keys that are given twice, of which PyYAML drops the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if double := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"the key {double!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _settings(path: Path, found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    try:
        listed = list(islice(_flat(found), MOST + 1))
    except RecursionError as error:
        raise OfficialError(f"{path}: a section contains itself; expected the official Face-MoGLE.yaml.") from error
    if len(listed) > MOST:
        raise OfficialError(
            f"{path}: the file has over {MOST} settings. Expected the official Face-MoGLE.yaml, which has 34."
        )
    return listed


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _place(tables: dict[str, Any], key: str, value: Any) -> list[Note]:
    if key in _SAME:
        _put(tables, _SAME[key], value)
        return []
    if key in _FIXED:
        return [] if value == _FIXED[key] else [f"{value} cannot be had; it is {_FIXED[key]} here."]
    handler = _SPECIAL.get(key)
    return handler(tables, value) if handler else [f"{value!r} {_NO_COUNTERPART}."]


def _put(tables: dict[str, Any], place: Place, value: Any) -> None:
    tables.setdefault(place[0], {})[place[1]] = value


def _flux(tables: dict[str, Any], value: Any) -> list[Note]:
    folder = str(value)
    parts = {"vae": "vae", "clip_l": "text_encoder", "t5xxl": "text_encoder_2"}
    model = {"transformer": folder, "tokenizers": folder, **{name: f"{folder}/{sub}" for name, sub in parts.items()}}
    tables.setdefault("model", {}).update(model)
    if Path(folder).is_dir():
        return []
    return [
        f"{folder} is not a folder on this machine: download the model to one and give it here; nothing is fetched."
    ]


def _dtype(tables: dict[str, Any], value: Any) -> list[Note]:
    _put(tables, ("model", "base_dtype"), _DTYPES.get(value, "bf16"))
    if value not in _DTYPES:
        return [f"{value} cannot be had for the transformer; bf16 is taken."]
    return ["only the frozen transformer's; network and LoRA are trained in float32."]


def _steps(tables: dict[str, Any], value: Any) -> list[Note]:
    if value and value > 0:
        _put(tables, ("loop", "steps"), value)
        return []
    return [f"{value} would run for ever; the paper's 4000 steps are taken."]


def _save_path(tables: dict[str, Any], value: Any) -> list[Note]:
    tables["output"] = {"folder": str(Path(value).parent), "name": Path(value).name}
    return []


def _condition_type(_tables: dict[str, Any], _value: Any) -> list[Note]:
    return ["has no effect in the official code either and is left out."]


def _targets(_tables: dict[str, Any], value: Any) -> list[Note]:
    if all(name in str(value) for name in _TARGETS):
        return []
    return ["these are not the official layers; choose a preset by lora.targets. All official ones are taken."]


def _optimiser(tables: dict[str, Any], value: Any) -> list[Note]:
    _put(tables, ("optimiser", "name"), _OPTIMISERS.get(str(value), "prodigy"))
    return [] if str(value) in _OPTIMISERS else [f"{value} cannot be had; Prodigy is taken."]


def _nothing(_tables: dict[str, Any], _value: Any) -> list[Note]:
    return []


_SPECIAL: Mapping[str, Callable[[dict[str, Any], Any], list[Note]]] = {
    "flux_path": _flux,
    "sd_path": _flux,
    "dtype": _dtype,
    "train.max_steps": _steps,
    "train.save_path": _save_path,
    "train.condition_type": _condition_type,
    "train.dataset.condition_size": _nothing,  # see _sizes
    "train.lora_config.target_modules": _targets,
    "train.optimizer.type": _optimiser,
    "train.batch_size": _nothing,  # see _batch
}


def _sizes(dataset: Mapping[str, Any], notes: list[Note]) -> None:
    target, masks = dataset.get("target_size"), dataset.get("condition_size")
    if masks is not None and masks != target:
        notes.append(f"train.dataset.condition_size: {masks} cannot be had; masks are of the pictures' size.")


def _batch(tables: dict[str, Any], train: Mapping[str, Any], notes: list[Note]) -> None:
    """Convert the batch size. There it counts one GPU's samples in one part of a step, here all samples of a step."""
    if "batch_size" not in train:
        return
    whole = train["batch_size"] * train.get("accumulate_grad_batches", 1)
    _put(tables, ("loop", "batch"), whole)
    notes.append(
        f"train.batch_size: {train['batch_size']} is for each GPU there; loop.batch counts all of them and is "
        f"{whole}. The official script starts two GPUs: for the paper's batch add --set loop.batch={2 * whole}."
    )
