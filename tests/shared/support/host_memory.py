"""What a sampling run asks of ComfyUI's memory, and what it stores. Needs a running host."""

from __future__ import annotations

from typing import Any

import comfy.sampler_helpers
from torch import Tensor


def asked_shapes(monkeypatch: Any) -> list[list[int]]:
    """The latent shapes for which ComfyUI estimates its memory from now on."""
    asked: list[list[int]] = []
    original = comfy.sampler_helpers.estimate_memory

    def noted(model: Any, shape: Any, conditionings: Any) -> Any:
        asked.append(list(shape))
        return original(model, shape, conditionings)

    monkeypatch.setattr(comfy.sampler_helpers, "estimate_memory", noted)
    return asked


def stored_bytes(core: Any, monkeypatch: Any) -> list[int]:
    """For each block of a run, the bytes of the keys and values that it stores. core: the fixture `comfy`."""
    stored: list[int] = []
    forms = core.module("mogle_core.model.stream.key_forms")
    original = forms.StoredKeys.__setitem__

    def noted(kept: Any, block: str, keys: tuple[Tensor, Tensor]) -> None:
        stored.append(sum(part.numel() * part.element_size() for part in keys))
        original(kept, block, keys)

    monkeypatch.setattr(forms.StoredKeys, "__setitem__", noted)
    return stored
