"""The Inception network of FID and KID, from a weights file that the user provides.

Two files of the same network are in use. Each comes with its own way to resize a picture to 299 pixels:
`inception-2015-12-05.pt` (NVIDIA's TorchScript) as clean-fid feeds it, which is how the paper's figures were
taken, and `weights-inception-2015-12-05-6726825d.pth` as torch-fidelity feeds it.
"""

from __future__ import annotations

import importlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 299
SOURCES = "inception-2015-12-05.pt (NVIDIA's, as clean-fid uses it) or weights-inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True)
class CleanInception:
    """Features (N, 2048) by clean-fid's "clean" protocol (Parmar et al., 2022).

    Pillow's bicubic filter, which is antialiased, resizes each channel as floats. The result is not rounded to
    8 bits.
    """

    layers: torch.nn.Module

    def __call__(self, pictures: Tensor) -> Tensor:
        resized = torch.stack([resize_clean(picture) for picture in pictures.cpu()]).to(pictures.device)
        result: Tensor = self.layers((resized - 128) / 128)
        return result.flatten(1)


def resize_clean(picture: Tensor, side: int = SIDE) -> Tensor:
    """(3, H, W) uint8 -> (3, side, side) float32 in 0..255; hard edges overshoot a little."""
    channels = [Image.fromarray(channel.float().numpy()) for channel in picture]
    resized = [channel.resize((side, side), Image.Resampling.BICUBIC) for channel in channels]
    return torch.stack([torch.from_numpy(np.asarray(channel, dtype=np.float32).copy()) for channel in resized])


@dataclass(frozen=True)
class FidelityInception:
    """Features (N, 2048) by torch-fidelity's own call."""

    network: Any

    def __call__(self, pictures: Tensor) -> Tensor:
        result: Tensor = self.network(pictures)[0]
        return result


def load_inception(path: Path, device: torch.device | str = "cpu") -> CleanInception | FidelityInception:
    """Load either of the two files. Raises ValueError that says what to do."""
    if not path.is_file():
        raise ValueError(f"There is no {path}: FID and KID need {SOURCES}.")
    return _clean(path, device) if _is_torchscript(path) else _fidelity(path, device)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _clean(path: Path, device: torch.device | str) -> CleanInception:
    network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    if not hasattr(network, "layers"):
        raise ValueError(f"{path.name} is TorchScript, but not the Inception network of FID: use {SOURCES}.")
    return CleanInception(network.layers)


def _fidelity(path: Path, device: torch.device | str) -> FidelityInception:
    try:
        library = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError as error:
        raise ValueError(
            f"{path.name} is read by torch-fidelity, which cannot be imported ({error}): pip install torch-fidelity "
            "(it needs torchvision), or use NVIDIA's inception-2015-12-05.pt, which needs no package."
        ) from error
    network = library.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path))
    return FidelityInception(network.to(device).eval())
