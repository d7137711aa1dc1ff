"""CLIP from a folder in transformers' layout: embeddings of pictures and of captions.

The Text column uses openai/clip-vit-base-patch16, CMMD uses openai/clip-vit-large-patch14-336.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...support.texts import read_json_file

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Clip:
    """Embeds pictures and texts in one space. side: the network's input size in pixels."""

    network: Any
    tokenizer: Any
    side: int

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N, F)."""
        pixels = torch.stack([preprocess(picture, self.side) for picture in pictures.cpu()])
        return _embedding(self.network.get_image_features(pixel_values=pixels.to(self.network.device)))

    def texts(self, captions: Sequence[str]) -> Tensor:
        """(N, F). Captions are cut at CLIP's 77 tokens; OpenAI's tokenizer would refuse longer ones."""
        tokens = self.tokenizer(list(captions), padding=True, truncation=True, max_length=77, return_tensors="pt")
        return _embedding(self.network.get_text_features(**tokens.to(self.network.device)))


def preprocess(picture: Tensor, side: int) -> Tensor:
    """(3, H, W) uint8 -> (3, side, side) float32: resized by Pillow's bicubic filter, then cropped to the middle."""
    image = Image.fromarray(picture.movedim(0, -1).numpy())
    shorter = min(image.size)
    width, height = (round(length * side / shorter) for length in image.size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in resized.size)
    levels = np.array(resized.crop((left, top, left + side, top + side)), dtype=np.float32) / 255
    return torch.from_numpy((levels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)).movedim(-1, 0)


def load_clip(folder: Path, device: torch.device | str = "cpu") -> Clip:
    """Raises ValueError, with what to do, if this is not the folder of a CLIP."""
    config = folder / "config.json"
    if not config.is_file():
        raise ValueError(
            f"{folder} is not a folder of a CLIP: config.json is missing. Download all files of "
            "openai/clip-vit-base-patch16 (Text) or openai/clip-vit-large-patch14-336 (CMMD)."
        )
    kind = model_type(config)
    if kind != "clip":
        raise ValueError(f"{config} describes a model of type {kind!r}; expected 'clip'.")
    library = transformers()
    network = library.CLIPModel.from_pretrained(str(folder), local_files_only=True).eval().to(device)
    tokenizer = library.CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    return Clip(network, tokenizer, network.config.vision_config.image_size)


def model_type(config: Path) -> str | None:
    """The contents of a transformers config.json. Raises ValueError, with the file's name, if it cannot be read."""
    content = read_json_file(config)
    return content.get("model_type") if isinstance(content, dict) else None


def _embedding(output: Any) -> Tensor:
    """transformers 4 returns the embedding, 5 an output that holds it."""
    embedding: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return embedding.float()


def transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise ValueError("CLIP and DINO are read by transformers: pip install transformers.") from error
