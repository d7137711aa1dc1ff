"""Encodes each prompt once and stores it on disk, so that the text encoders are freed before the transformer runs.

T5's 512 tokens take 4 MiB for each prompt, so thousands of them do not fit beside FLUX.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file
from tqdm import tqdm

from ..model.encoders.api import TextEncoder
from ..model.sampling.sampler import Text
from ..support.tensor_files import write_safetensors


class TextStore:
    """Context (1, T, C) and pooled text (1, P) by prompt, in a temporary folder, which `close` removes."""

    def __init__(self, encoder: TextEncoder, dtype: torch.dtype) -> None:
        self._encoder, self._dtype = encoder, dtype
        self._folder = tempfile.TemporaryDirectory(prefix="mogle-texts-")

    def add(self, prompts: Iterable[str]) -> None:
        """Encode the missing ones, one at a time: the rounding depends on the size of a batch."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if not self._path(prompt).is_file()]
        for prompt in tqdm(missing, desc="texts", unit="prompt", leave=False, disable=None):
            context, pooled = self._encoder.encode([prompt])
            tensors = {"context": context.to(self._dtype), "pooled": pooled.to(self._dtype)}
            write_safetensors(self._path(prompt), tensors)

    def release(self) -> None:
        """Free the encoder; a prompt that was not added yet reads it again."""
        self._encoder.release()

    def of(self, prompt: str) -> Text:
        self.add([prompt])
        stored = load_file(self._path(prompt))
        return stored["context"], stored["pooled"]

    def close(self) -> None:
        self._folder.cleanup()

    def _path(self, prompt: str) -> Path:
        return Path(self._folder.name) / f"{hashlib.sha256(prompt.encode()).hexdigest()}.safetensors"
