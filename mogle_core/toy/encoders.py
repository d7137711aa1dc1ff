"""The toy world's VAE and text encoder behind the encoders' interface."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..model.checkpoints.tensors import read_tensors
from ..model.encoders.api import Moments
from ..model.encoders.files import file_fingerprint
from .places import FILES, WEIGHTS
from .text import CONTEXT_WIDTH, POOLED_WIDTH, SLOTS, ToyText
from .vae import ToyVAE


class ToyVAEEncoder:
    """TAESD's layers (`taesd_encoder.…`), which predict latents without a variance."""

    has_variance = False

    def __init__(self, path: Path = WEIGHTS / FILES["vae"], device: torch.device | str = "cpu") -> None:
        self.path, self.device = path, torch.device(device)
        self.fingerprint = file_fingerprint((path,))

    @cached_property
    def _model(self) -> ToyVAE:
        model = ToyVAE()
        model.load_state_dict({name: tensor.float() for name, tensor in read_tensors(self.path)[0].items()})
        return model.requires_grad_(False).eval().to(self.device)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Moments:
        return Moments(self._model.encode_images(pictures.to(self.device)).float())

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self._model.decode(latents.to(self.device, torch.float32)).clamp(0, 1).movedim(1, -1)

    def release(self) -> None:
        self.__dict__.pop("_model", None)


class ToyTextEncoder:
    """The small transformer over words."""

    sizes = (SLOTS, CONTEXT_WIDTH, POOLED_WIDTH)

    def __init__(self, path: Path = WEIGHTS / FILES["text"], device: torch.device | str = "cpu") -> None:
        self.path, self.device = path, torch.device(device)
        self.fingerprint = file_fingerprint((path,))

    @cached_property
    def _model(self) -> ToyText:
        tensors, words = read_tensors(self.path)
        model = ToyText(json.loads(words["toy.vocabulary"]))
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        return model.requires_grad_(False).eval().to(self.device)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        return self._model.encode(prompts)

    def release(self) -> None:
        self.__dict__.pop("_model", None)
