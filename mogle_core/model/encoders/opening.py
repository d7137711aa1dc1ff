"""Chooses the encoder for a path: a registered word, a registered layout, or FLUX.1's models."""

from __future__ import annotations

from pathlib import Path

import torch

from .api import VAE, Encoders, EncodersError, TextEncoder
from .files import Weights, weight_files
from .flux_text import FluxText
from .flux_vae import FluxVAE
from .registry import named_models, reader_of_vae


def open_encoders(
    vae: str,
    clip_l: str,
    t5xxl: str,
    tokenizers: Path | None = None,
    tokens: int = 512,
    device: torch.device | str = "cpu",
) -> Encoders:
    """Open both encoders. The files are checked now; the weights are read at the first use.

    Raises:
        EncodersError: names the file that is missing or belongs to another model.
    """
    return Encoders(open_vae(vae, device), open_text(clip_l, t5xxl, tokenizers, tokens, device))


def open_vae(path: str, device: torch.device | str = "cpu") -> VAE:
    """Open a registered word, ae.safetensors, a file of a registered layout, or a diffusers folder."""
    models = named_models(path)
    if models is not None:
        return models.open_vae(None, device)
    files = weight_files(Path(path), "the VAE")
    models = reader_of_vae(Weights(files).shapes())
    if models is not None:
        return models.open_vae(files[0], device)
    return FluxVAE(Path(path), device)


def open_text(
    clip_l: str,
    t5xxl: str,
    tokenizers: Path | None = None,
    tokens: int = 512,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
) -> TextEncoder:
    """Open one registered word for both, or CLIP-L and T5-XXL as single files or folders. dtype: of T5."""
    models = named_models(clip_l) or named_models(t5xxl)
    if models is not None:
        if clip_l != t5xxl:
            raise EncodersError(
                f"clip_l is {clip_l} and t5xxl is {t5xxl}: {models.word} has one text encoder in place of both; "
                f'set both to "{models.word}", or neither.'
            )
        return models.open_text(device)
    return FluxText(Path(clip_l), Path(t5xxl), tokenizers, tokens, device, dtype)
