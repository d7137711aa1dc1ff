"""A node that replaces CLIP and T5: conditioning of any width that depends on every letter of a text."""

from __future__ import annotations

import hashlib
from typing import Any

import torch


def text_conditioning(text: str, context_width: int, pooled_width: int, tokens: int, guidance: float) -> list[Any]:
    """Standard normal numbers from a hash of the text, in the form that CLIPTextEncodeFlux returns."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(1, tokens, context_width, generator=generator)
    pooled = torch.randn(1, pooled_width, generator=generator)
    return [[context, {"pooled_output": pooled, "guidance": guidance}]]


class SmallTextConditioning:
    """text -> CONDITIONING."""

    CATEGORY = "testing"
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        width = {"default": 32, "min": 1, "max": 8192}
        return {
            "required": {
                "text": ("STRING", {"default": ""}),
                "context_width": ("INT", width),
                "pooled_width": ("INT", {**width, "default": 24}),
                "tokens": ("INT", {**width, "default": 8}),
                "guidance": ("FLOAT", {"default": 3.5, "min": 0.0, "max": 100.0}),
            }
        }

    def encode(self, **inputs: Any) -> tuple[list[Any]]:
        return (text_conditioning(**inputs),)
