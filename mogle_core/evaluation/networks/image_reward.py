"""How much people would like a picture for its prompt, by the optional package ImageReward (Xu et al., 2023)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

Reward = Callable[[Tensor, Sequence[str]], Tensor]
"""Pictures (N, 3, H, W) uint8 and a prompt each -> rewards (N,)."""

ADVICE = (
    "The package image-reward 1.5 needs transformers 4, and a current transformers is installed for the rest. Make "
    "an environment of its own: pip install image-reward 'transformers<5' 'torch' , compute the rewards there, and "
    "give them as --image-reward-scores FILE (name,score)."
)


def load_image_reward(path: Path, device: torch.device | str = "cpu") -> Reward:
    """ImageReward-v1.0 from `ImageReward.pt`, with `med_config.json` beside it.

    Raises ValueError if a file or the package is missing; the message says what to do.
    """
    config = path.with_name("med_config.json")
    for file in (path, config):
        if not file.is_file():
            raise ValueError(f"There is no {file}: download ImageReward.pt and med_config.json (THUDM/ImageReward).")
    model = _package().load(str(path), device=str(device), med_config=str(config))

    def reward(pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        images = [Image.fromarray(picture.movedim(0, -1).cpu().numpy()) for picture in pictures]
        return torch.tensor([model.score(prompt, image) for prompt, image in zip(prompts, images, strict=True)])

    return reward


def _package() -> Any:
    try:
        return importlib.import_module("ImageReward")
    except ImportError as error:
        raise ValueError(f"ImageReward cannot be imported ({error}). {ADVICE}") from error
