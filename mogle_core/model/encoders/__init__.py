"""FLUX.1's VAE and text encoders without ComfyUI: from folders, single files, or the toy, without downloads."""

from __future__ import annotations

from .api import VAE, Encoders, EncodersError, Moments, TextEncoder
from .opening import open_encoders, open_text, open_vae

__all__ = ["VAE", "Encoders", "EncodersError", "Moments", "TextEncoder", "open_encoders", "open_text", "open_vae"]
