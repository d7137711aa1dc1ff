"""Reads a run's configuration: a TOML file, a packaged recipe or the official YAML, with `--set a.b=c` on top."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from ...support.texts import TextError, read_text
from .conditions import Conditions
from .section import nearest
from .sections import (
    Cache,
    Data,
    Drop,
    Loop,
    LoRA,
    Model,
    Network,
    Optimiser,
    Output,
    Timesteps,
    TrainingConfig,
    Validation,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "Cache",
    "Conditions",
    "ConfigError",
    "Data",
    "Drop",
    "LoRA",
    "Loop",
    "Model",
    "Network",
    "Optimiser",
    "Output",
    "Timesteps",
    "TrainingConfig",
    "Validation",
    "config_toml",
    "load_config",
    "recipe_names",
    "tomllib",
]

logger = logging.getLogger(__name__)

RECIPES = Path(__file__).parents[1] / "recipes"


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the file and the key."""


def recipe_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def load_config(source: Path | str, sets: Sequence[str] = ()) -> TrainingConfig:
    """Read a configuration.

    Args:
        source: a .toml file, the official .yaml, or the name of a packaged recipe such as `paper`.
        sets: changes on top, each as `section.key=value`.

    Raises:
        ConfigError: names the file and the key.
    """
    path = _path(source)
    tables = _yaml(path) if path.suffix.lower() in (".yaml", ".yml") else _toml(path)
    for text in sets:
        _set(tables, text)
    try:
        return TrainingConfig.model_validate(tables)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(path, found) for found in error.errors())) from error


def config_toml(config: TrainingConfig) -> str:
    """The resolved configuration as TOML. `load_config` reads an equal one back."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def _path(source: Path | str) -> Path:
    path = Path(source)
    if path.suffix.lower() in (".toml", ".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"There is no configuration {path}. Packaged recipes: {', '.join(recipe_names())}.")
        return path
    recipe = RECIPES / f"{path.name}.toml"
    if str(source) != path.name or not recipe.is_file():
        raise ConfigError(
            f"There is no recipe {str(source)!r}: {nearest(path.name, recipe_names())}. Or give a .toml file."
        )
    return recipe


def _toml(path: Path) -> dict[str, Any]:
    try:
        tables: dict[str, Any] = tomllib.loads(read_text(path))
    except TextError as error:
        raise ConfigError(str(error)) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: this is not TOML: {error}.") from error
    return tables


def _yaml(path: Path) -> dict[str, Any]:
    from .official import read_official

    tables, notes = read_official(path)
    for note in notes:
        logger.warning("%s: %s", path.name, note)
    return tables


def _set(tables: dict[str, Any], text: str) -> None:
    """`section.key=value`; the value is TOML, or a plain string."""
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {text}: write it as section.key=value, such as loop.steps=2000.")
    table = tables
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {text}: {key} is a value, not a section.")
    table[keys[-1]] = _value(value.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sentence(path: Path, found: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence that names file and key."""
    where = tuple(str(part) for part in found["loc"])
    key = ".".join(where)
    if found["type"] == "extra_forbidden":
        return f"{path}: {key} is unknown; {nearest(where[-1], _keys(where[:-1]))}"
    reason = str(found["msg"]).removeprefix("Value error, ")
    return f"{path}: {key} = {found['input']!r}: {reason[:1].lower() + reason[1:]}."


def _keys(where: Sequence[str]) -> tuple[str, ...]:
    """The keys of the section at this place."""
    model: type[BaseModel] = TrainingConfig
    for name in where:
        annotation = model.model_fields[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        model = annotation
    return tuple(model.model_fields)
