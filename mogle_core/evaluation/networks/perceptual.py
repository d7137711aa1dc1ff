"""LPIPS (Zhang et al., 2018) for diversity: the package's layers on an AlexNet file that the user provides."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..metrics.diversity import Distance


def load_lpips(path: Path, device: torch.device | str = "cpu") -> Distance:
    """With torchvision's alexnet-owt-7be5be79.pth, which the package would otherwise download.

    Raises ValueError if the file or the package is missing; the message says what to do.
    """
    if not path.is_file():
        raise ValueError(f"There is no {path}: LPIPS needs torchvision's alexnet-owt-7be5be79.pth.")
    try:
        library: Any = importlib.import_module("lpips")
    except ImportError as error:
        raise ValueError(
            f"LPIPS cannot be imported ({error}): pip install lpips (it needs torchvision), or give a module of your "
            "own as MODULE:NAME."
        ) from error
    network = library.LPIPS(net="alex", pnet_rand=True, verbose=False)
    _fill(network.net, torch.load(path, map_location="cpu", weights_only=True))
    network = network.eval().to(device)

    def distance(first: Tensor, second: Tensor) -> Tensor:
        one, other = (pictures.float().to(device) / 127.5 - 1 for pictures in (first, second))
        distances: Tensor = network(one, other)
        return distances.flatten().cpu()

    return distance


def _fill(backbone: Any, weights: dict[str, Tensor]) -> None:
    """Load the backbone's weights. Its slices use the layer numbers of torchvision's `features`."""
    state = backbone.state_dict()
    backbone.load_state_dict({name: weights[f"features.{name.split('.', 1)[1]}"] for name in state})
