"""Models that a command or a configuration calls by one word, such as the embedded toy world.

A package that brings such models registers them; nothing in `model` or `training` knows their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..flux.params import FluxParams
from .api import VAE, TextEncoder


@dataclass(frozen=True)
class NamedModels:
    """A transformer, a VAE and a text encoder that belong together.

    word: the name that a person writes. transformer: the file, which `load_flux` can read. params: its sizes.
    text_tokens: length of every text. open_vae: takes a file (None for these models' VAE) and a device.
    is_vae: whether a file with tensors of these names and shapes is such a VAE. open_text: takes a device.
    """

    word: str
    transformer: Path
    params: FluxParams
    text_tokens: int
    open_vae: Callable[[Path | None, torch.device | str], VAE]
    is_vae: Callable[[Mapping[str, tuple[int, ...]]], bool]
    open_text: Callable[[torch.device | str], TextEncoder]


_REGISTERED: dict[str, NamedModels] = {}


def register(models: NamedModels) -> None:
    """Register the models under their word; a second registration replaces the first."""
    _REGISTERED[models.word] = models


def named_models(word: str) -> NamedModels | None:
    """The models that `word` names; None for a path."""
    return _REGISTERED.get(word)


def reader_of_vae(shapes: Mapping[str, tuple[int, ...]]) -> NamedModels | None:
    """The registered models whose VAE has these tensors; None for FLUX.1's."""
    return next((models for models in _REGISTERED.values() if models.is_vae(shapes)), None)


def transformer_file(source: str) -> Path:
    """The path of a transformer, from a path or a registered word."""
    models = named_models(source)
    return Path(source) if models is None else models.transformer
