"""The toy's VAE: TAESD's layers and tensor names, with 16 latent channels, so that ComfyUI loads it as it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..model.flux_latents import LATENT_CHANNELS

WIDTH = 64

# ComfyUI's FLUX latent format maps any VAE's latent by (z - shift) * scale.
FLUX_SHIFT, FLUX_SCALE = 0.1159, 0.3611


def _conv(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)
    nn.init.kaiming_normal_(
        conv.weight
    )  # with torch's default initialisation, colours fade before they reach the latent
    return conv


class Block(nn.Module):
    """relu(x + three convolutions)."""

    def __init__(self) -> None:
        super().__init__()
        layers = [_conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH)]
        self.conv = nn.Sequential(*layers)
        layers[-1].weight.data.mul_(0.2)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + x)


class SoftClamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


def _encoder() -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, WIDTH), Block()]
    for _ in range(3):
        layers += [_conv(WIDTH, WIDTH, stride=2, bias=False), Block(), Block(), Block()]
    return nn.Sequential(*layers, _conv(WIDTH, LATENT_CHANNELS))


def _decoder() -> nn.Sequential:
    layers: list[nn.Module] = [SoftClamp(), _conv(LATENT_CHANNELS, WIDTH), nn.ReLU()]
    for _ in range(3):
        layers += [Block(), Block(), Block(), nn.Upsample(scale_factor=2), _conv(WIDTH, WIDTH, bias=False)]
    last = _conv(WIDTH, 3)
    nn.init.normal_(last.weight, std=0.01)
    return nn.Sequential(*layers, Block(), last)


class ToyVAE(nn.Module):
    """Maps pictures (N, 3, H, W) in 0..1 to the transformer's latents (N, 16, H/8, W/8), and back.

    `vae_scale` and `vae_shift` bring the latents of faces to mean 0 and deviation 1 after ComfyUI's FLUX format has
    been applied.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taesd_encoder = _encoder()
        self.taesd_decoder = _decoder()
        self.vae_scale = nn.Parameter(torch.tensor(FLUX_SCALE), requires_grad=False)
        self.vae_shift = nn.Parameter(torch.tensor(FLUX_SHIFT), requires_grad=False)

    def encode(self, pictures: Tensor) -> Tensor:
        raw: Tensor = self.taesd_encoder(pictures)
        return (raw / self.vae_scale + self.vae_shift - FLUX_SHIFT) * FLUX_SCALE

    def decode(self, latents: Tensor) -> Tensor:
        """The pictures of latents. They are not clamped to 0..1."""
        raw = (latents / FLUX_SCALE + FLUX_SHIFT - self.vae_shift) * self.vae_scale
        pictures: Tensor = self.taesd_decoder(raw)
        return pictures

    def encode_images(self, images: Tensor) -> Tensor:
        """An `encode.Encode`: images (N, H, W, 3) in 0..1 -> (N, 16, H/8, W/8)."""
        return self.encode(images.movedim(-1, 1).to(self.vae_scale.dtype))

    def normalise(self, latents: Tensor) -> None:
        """Choose scale and shift so that these latents of `encode` would have mean 0 and deviation 1."""
        raw = (latents / FLUX_SCALE + FLUX_SHIFT - self.vae_shift) * self.vae_scale
        deviation, mean = torch.std_mean(raw)
        self.vae_scale.data.copy_(deviation * FLUX_SCALE)
        self.vae_shift.data.copy_(FLUX_SHIFT - mean / self.vae_scale)
