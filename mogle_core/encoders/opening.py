"""Choosing the encoder by what a path holds: "toy", a file in TAESD's layout, or FLUX.1's own models."""

from __future__ import annotations

from pathlib import Path

import torch

from .api import VAE, Encoders, EncodersError, TextEncoder
from .files import Weights, weight_files
from .flux_text import FluxText
from .flux_vae import FluxVAE

TOY = "toy"


def open_encoders(
    vae: str,
    clip_l: str,
    t5xxl: str,
    tokenizers: Path | None = None,
    tokens: int = 512,
    device: torch.device | str = "cpu",
) -> Encoders:
    """Both encoders; weights are read at their first use, files are checked now.

    Raises:
        EncodersError: naming the file that is missing or of another model.
    """
    return Encoders(open_vae(vae, device), open_text(clip_l, t5xxl, tokenizers, tokens, device))


def open_vae(path: str, device: torch.device | str = "cpu") -> VAE:
    """ "toy", ae.safetensors, a file of the toy's kind, or a diffusers folder."""
    from .toy import ToyVAEEncoder

    if path == TOY:
        return ToyVAEEncoder(device=device)
    files = weight_files(Path(path), "the VAE")
    if any(name.startswith("taesd_encoder.") for name in Weights(files).shapes()):
        return ToyVAEEncoder(files[0], device)
    return FluxVAE(Path(path), device)


def open_text(
    clip_l: str,
    t5xxl: str,
    tokenizers: Path | None = None,
    tokens: int = 512,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
) -> TextEncoder:
    """ "toy" for both, or CLIP-L and T5-XXL as single files or folders. dtype: of T5."""
    from .toy import ToyTextEncoder

    if TOY in (clip_l, t5xxl):
        if clip_l != t5xxl:
            raise EncodersError(
                f"clip_l is {clip_l} and t5xxl is {t5xxl}: the toy's one text encoder stands for both; "
                'set both to "toy", or neither.'
            )
        return ToyTextEncoder(device=device)
    return FluxText(Path(clip_l), Path(t5xxl), tokenizers, tokens, device, dtype)
