"""The files of the models for pictures without ComfyUI, and the models, which are loaded when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..model.checkpoints.files import read_lora, read_network
from ..model.checkpoints.recipe import Recipe
from ..model.encoders.api import VAE, TextEncoder
from ..model.encoders.files import file_fingerprint
from ..model.encoders.opening import open_text, open_vae
from ..model.encoders.registry import transformer_file
from ..model.flux.frozen import BaseDtype, load_base
from ..model.flux.model import Flux
from ..model.mixture.network import MoGLE
from ..model.stream.lora import MaskLoRA
from ..support.errors import WeightsError
from ..toy.places import FILES, TOY, WEIGHTS
from ..toy.registration import register_toy


@dataclass(frozen=True)
class Sources:
    """Files and folders; "toy" means the embedded small world's. mogle, lora: None for pictures from text alone.

    t5_tokens: length of the text, 512 as in the paper.
    """

    transformer: str
    vae: str
    clip_l: str = ""
    t5xxl: str = ""
    tokenizers: Path | None = None
    mogle: Path | None = None
    lora: Path | None = None
    base_dtype: BaseDtype = "bf16"
    offload_blocks: int = 0
    t5_tokens: int = 512


def toy_sources(mogle: Path | None = None, base_dtype: BaseDtype = "float32") -> Sources:
    """The embedded world, optionally with another network and LoRA."""
    register_toy()
    checkpoint = mogle or WEIGHTS / FILES["mogle"]
    return Sources(TOY, TOY, TOY, TOY, mogle=checkpoint, lora=checkpoint, base_dtype=base_dtype)


@dataclass(frozen=True)
class Loaded:
    """A `sample.Models`."""

    flux: Flux
    network: MoGLE | None
    lora: MaskLoRA | None
    recipe: Recipe


class Disk:
    """The models of `sources` on a device. Encoders and transformer are read at the first use."""

    def __init__(self, sources: Sources, device: torch.device) -> None:
        self.sources, self.device = sources, device
        self.text: TextEncoder = open_text(
            sources.clip_l, sources.t5xxl, sources.tokenizers, sources.t5_tokens, device, self.dtype
        )
        self.vae: VAE = open_vae(sources.vae, device)
        self._checkpoints = _checkpoints(sources)  # small, and the most likely to be wrong

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.sources.base_dtype == "float32" else torch.bfloat16

    @property
    def extra(self) -> tuple[str, ...]:
        """The further conditions for which the network has an expert."""
        network, *_ = self._checkpoints
        return () if network is None else network.config.extra

    @cached_property
    def models(self) -> Loaded:
        network, lora, recipe = self._checkpoints
        flux = load_base(
            transformer_file(self.sources.transformer),
            self.sources.base_dtype,
            self.device,
            self.sources.offload_blocks,
            recompute=self.sources.offload_blocks > 0,
        )
        return Loaded(
            flux,
            None if network is None else network.to(self.device, self.dtype),
            None if lora is None else lora.to(self.device, self.dtype),
            recipe,
        )

    def facts(self) -> Mapping[str, Any]:
        """The fingerprint of every file that a picture depends on, without reading them whole."""
        files = {
            "transformer": transformer_file(self.sources.transformer),
            "mogle": self.sources.mogle,
            "lora": self.sources.lora,
        }
        found = {name: _fingerprint(path) for name, path in files.items() if path is not None}
        return {
            **found,
            "vae": self.vae.fingerprint,
            "text": self.text.fingerprint,
            "dtype": self.sources.base_dtype,
            "device": self.device.type,
        }


def _checkpoints(sources: Sources) -> tuple[MoGLE | None, MaskLoRA | None, Recipe]:
    if sources.mogle is None:
        return None, None, Recipe()
    network = read_network(sources.mogle)
    lora = network.lora or (read_lora(sources.lora).lora if sources.lora else None)
    if lora is None:
        raise WeightsError(f"{sources.mogle.name} holds the network alone: give the LoRA's file by --lora as well.")
    return network.network, lora, network.recipe


def _fingerprint(path: Path) -> str:
    return file_fingerprint(sorted(path.rglob("*.safetensors")) if path.is_dir() else (path,))
