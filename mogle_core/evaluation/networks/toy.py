"""The toy world's replacements for the large extractors. With them the whole table needs no download.

The judge's features replace Inception's and CLIP's for FID, KID and CMMD; its logits replace DINO's keys. Text and
pictures are compared by the colour of the hair, which every caption states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...masks.labels import IDS
from ...parse.files import read_parser
from ...parse.judge import JudgeParser
from ...support.errors import WeightsError
from ...toy.drawer.attributes import HAIR_COLOURS
from ...toy.judge import Judge
from ...toy.places import FILES, WEIGHTS
from ...toy.text import words_of

JUDGE = WEIGHTS / FILES["judge"]


def load_judge(path: Path = JUDGE) -> Judge:
    parser = read_parser(path)
    if not isinstance(parser, JudgeParser) or not isinstance(parser.module, Judge):
        raise WeightsError(f"{path} is not the toy world's judge.")
    return parser.module


@dataclass(frozen=True)
class ToyFeatures:
    """Pictures (N, 3, H, W) uint8, sides multiples of 8 -> (N, 128)."""

    judge: Judge

    def __call__(self, pictures: Tensor) -> Tensor:
        # One by one: convolutions round differently in batches of another size.
        return torch.cat([self.judge.features(picture[None].float() / 255) for picture in pictures])


@dataclass(frozen=True)
class ToyKeys:
    """Pictures (N, 3, H, W) uint8 -> the logits of each 8 x 8 pixels, (N, L, 19)."""

    judge: Judge

    def __call__(self, pictures: Tensor) -> Tensor:
        return F.avg_pool2d(self.judge(pictures.float() / 255), 8).flatten(2).mT


@dataclass(frozen=True)
class ToyClip:
    """Embeds pictures and captions by how near their hair is to each of the eight colours, (N, 8)."""

    judge: Judge
    softness: float = 40.0

    def __call__(self, pictures: Tensor) -> Tensor:
        colours = torch.tensor(list(HAIR_COLOURS.values()), dtype=torch.float32)
        apart = (self._hair(pictures)[:, None] - colours).norm(dim=-1)
        return torch.softmax(-apart / self.softness, dim=-1)

    def texts(self, captions: Sequence[str]) -> Tensor:
        return torch.stack([_stated(caption) for caption in captions])

    def _hair(self, pictures: Tensor) -> Tensor:
        """The mean colour of the hair that the judge sees, (N, 3), or of the whole picture if it sees none."""
        levels = pictures.float()
        hair = self.judge(levels / 255).argmax(dim=1, keepdim=True) == IDS["hair"]
        hair = hair | ~hair.flatten(1).any(dim=1).view(-1, 1, 1, 1)
        colours: Tensor = (levels * hair).sum((2, 3)) / hair.sum((2, 3))
        return colours


def _stated(caption: str) -> Tensor:
    """One-hot of the colour before the word "hair"; all entries equal if there is none."""
    words = words_of(caption)
    until = words[: words.index("hair")] if "hair" in words else []
    named = next((word for word in reversed(until) if word in HAIR_COLOURS), None)
    if named is None:
        return torch.full((len(HAIR_COLOURS),), 1 / len(HAIR_COLOURS))
    return F.one_hot(torch.tensor(list(HAIR_COLOURS).index(named)), len(HAIR_COLOURS)).float()


@dataclass(frozen=True)
class ToyReward:
    """The log-probability of the stated hair colour; 0 is the best."""

    clip: ToyClip

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        return (self.clip(pictures) * self.clip.texts(prompts)).sum(dim=-1).clamp_min(1e-6).log()


def toy_distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of pictures (N, 3, H, W) uint8, in 0..1; it replaces LPIPS."""
    return (first.float() - second.float()).abs().mean(dim=(1, 2, 3)) / 255
