"""FLUX.1's VAE as diffusers' AutoencoderKL, from diffusers' folder or from BFL's ae.safetensors that ComfyUI uses."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..flux_latents import LATENT_CHANNELS
from .api import EncodersError, Moments
from .files import Weights, file_fingerprint, load_into, read_json, weight_files

SHIFT, SCALE = 0.1159, 0.3611

# BFL's names -> diffusers'; the decoder numbers its blocks in reverse.
_NAMES = (
    (r"\bdown\.(\d+)\.block\.(\d+)\.", r"down_blocks.\1.resnets.\2."),
    (r"\bdown\.(\d+)\.downsample\.", r"down_blocks.\1.downsamplers.0."),
    (r"\bup\.(\d+)\.block\.(\d+)\.", r"up_blocks.\1.resnets.\2."),
    (r"\bup\.(\d+)\.upsample\.", r"up_blocks.\1.upsamplers.0."),
    (r"\bmid\.block_1\.", "mid_block.resnets.0."),
    (r"\bmid\.block_2\.", "mid_block.resnets.1."),
    (r"\bmid\.attn_1\.norm\.", "mid_block.attentions.0.group_norm."),
    (r"\bmid\.attn_1\.proj_out\.", "mid_block.attentions.0.to_out.0."),
    (r"\bmid\.attn_1\.([qkv])\.", r"mid_block.attentions.0.to_\1."),
    (r"\bnin_shortcut\.", "conv_shortcut."),
    (r"\bnorm_out\.", "conv_norm_out."),
)


class FluxVAE:
    """Frozen, in float32; see `api.VAE`.

    Raises:
        EncodersError: on construction, if the files do not hold a 16-channel VAE.
    """

    has_variance = True

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        self.path, self.device = path, torch.device(device)
        self.files = weight_files(path, "the VAE")
        self.settings = read_json(path / "config.json") if (path / "config.json").is_file() else {}
        self._widths = _widths(path, dict(_renamed(Weights(self.files).shapes().items())))
        self.fingerprint = file_fingerprint(self.files)

    @cached_property
    def _model(self) -> Any:
        from diffusers import AutoencoderKL

        with torch.device("meta"):
            model = AutoencoderKL(
                down_block_types=["DownEncoderBlock2D"] * len(self._widths),
                up_block_types=["UpDecoderBlock2D"] * len(self._widths),
                block_out_channels=list(self._widths),
                layers_per_block=self.settings.get("layers_per_block", 2),
                norm_num_groups=self.settings.get("norm_num_groups", 32),
                latent_channels=LATENT_CHANNELS,
                use_quant_conv=False,
                use_post_quant_conv=False,
            )
        tensors = dict(_renamed(Weights(self.files).tensors(torch.float32)))
        # BFL's attention has 1x1 convolutions, diffusers' has Linears.
        flat = {name: t.flatten(1) if ".attentions." in name and t.ndim == 4 else t for name, t in tensors.items()}
        load_into(model, flat, str(self.path))
        return model.requires_grad_(False).eval().to(self.device)

    @property
    def _shift(self) -> float:
        return float(self.settings.get("shift_factor", SHIFT))

    @property
    def _scale(self) -> float:
        return float(self.settings.get("scaling_factor", SCALE))

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Moments:
        distribution = self._model.encode(pictures.to(self.device).movedim(-1, 1) * 2 - 1).latent_dist
        return Moments((distribution.mean - self._shift) * self._scale, distribution.logvar + 2 * math.log(self._scale))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        raw = latents.to(self.device, torch.float32) / self._scale + self._shift
        pictures: Tensor = self._model.decode(raw).sample
        return (pictures / 2 + 0.5).clamp(0, 1).movedim(1, -1)

    def release(self) -> None:
        self.__dict__.pop("_model", None)


def _renamed(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Tensors with BFL's or diffusers' names, under diffusers' names."""
    tensors = dict(named)
    blocks = 1 + max((int(m[1]) for name in tensors if (m := re.search(r"\bup\.(\d+)\.", name))), default=-1)
    for name, value in tensors.items():
        name = name.removeprefix("vae.").removeprefix("first_stage_model.")
        for pattern, replacement in _NAMES:
            name = re.sub(pattern, replacement, name)
        if blocks:
            name = re.sub(r"\bup_blocks\.(\d+)\.", lambda m: f"up_blocks.{blocks - 1 - int(m[1])}.", name)
        yield name, value


def _widths(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The width at each resolution, from the encoder's shapes."""
    first = (shapes.get(f"encoder.down_blocks.{number}.resnets.0.conv1.weight") for number in range(len(shapes)))
    widths = []
    for shape in first:
        if shape is None:
            break
        widths.append(shape[0])
    out = shapes.get("encoder.conv_out.weight")
    if not widths or out is None:
        raise EncodersError(f"{path} is not a VAE of FLUX.1: it has no encoder. Use ae.safetensors or a folder `vae`.")
    if out[0] != 2 * LATENT_CHANNELS:
        raise EncodersError(f"{path} is a VAE of {out[0] // 2} channels; FLUX.1's has {LATENT_CHANNELS}.")
    return tuple(widths)
