"""The interfaces of a VAE and a text encoder: they turn pictures and prompts into FLUX's latents and contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class EncodersError(ValueError):
    """An encoder cannot be used; the message names the file and what to give instead."""


@dataclass(frozen=True)
class Moments:
    """A picture's distribution of latents in the transformer's units, (z - shift) * scale.

    mean, log_variance: (N, 16, H/8, W/8); a VAE without a distribution has no log-variance.
    """

    mean: Tensor
    log_variance: Tensor | None = None

    def sample(self, noise: Tensor) -> Tensor:
        """The latent for this normal noise of the same shape, or the mean if there is no distribution."""
        if self.log_variance is None:
            return self.mean
        return self.mean + (0.5 * self.log_variance).exp() * noise


class VAE(Protocol):
    """Frozen, on one device; weights are read at the first use.

    fingerprint: a digest of its weights; encoders with equal fingerprints give equal latents.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def has_variance(self) -> bool:
        """Whether `encode` returns a log-variance."""
        ...

    def encode(self, pictures: Tensor) -> Moments:
        """(N, H, W, 3) in 0..1 -> (N, 16, H/8, W/8), float32 on the VAE's device."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """(N, 16, H/8, W/8) -> (N, H, W, 3) float32 in 0..1."""
        ...

    def release(self) -> None:
        """Free its memory; the next use reads the weights again."""
        ...


class TextEncoder(Protocol):
    """Frozen, on one device; weights are read at the first use."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Tokens and width of the context, and width of the pooled text. This does not read the weights."""
        ...

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Context (B, T, C) and pooled text (B, P), float32 on the encoder's device."""
        ...

    def release(self) -> None: ...


@dataclass(frozen=True)
class Encoders:
    """The encoders that turn a data set into training data."""

    vae: VAE
    text: TextEncoder

    @property
    def device(self) -> torch.device:
        return torch.device(getattr(self.vae, "device", "cpu"))

    def release(self) -> None:
        self.vae.release()
        self.text.release()
