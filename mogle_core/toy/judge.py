"""The judge: a small U-Net that parses a picture into class ids, to measure how well a face follows its mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..masks.labels import NUM_CLASSES

WIDTHS = (16, 32, 48, 64)


class Step(nn.Module):
    """Two convolutions with normalisation, around which a projection of the input runs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(8, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.around = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.around(x) + self.second(torch.relu(self.norm(self.first(x)))))


class Judge(nn.Module):
    """Pictures (N, 3, H, W) in 0..1, H and W multiples of 8 -> logits (N, 19, H, W).

    Left and right depend on position, so two input channels hold each pixel's coordinates.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(Step(i, o) for i, o in zip((5, *WIDTHS[:-1]), WIDTHS, strict=True))
        self.up = nn.ModuleList(Step(low + high, high) for low, high in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.head = nn.Conv2d(WIDTHS[0], NUM_CLASSES, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        steps = self._down(pictures)
        x = steps.pop()
        for up in self.up:
            x = up(torch.cat((F.interpolate(x, scale_factor=2), steps.pop()), dim=1))
        logits: Tensor = self.head(x)
        return logits

    def features(self, pictures: Tensor) -> Tensor:
        """Mean and deviation of the deepest channels, (N, 128): the features of the toy's Fréchet distance."""
        deepest = self._down(pictures)[-1].flatten(2)
        return torch.cat((deepest.mean(dim=-1), deepest.std(dim=-1)), dim=1)

    def _down(self, pictures: Tensor) -> list[Tensor]:
        count, _, height, width = pictures.shape
        rows = torch.linspace(-1, 1, height).to(pictures)[:, None].expand(count, 1, height, width)
        columns = torch.linspace(-1, 1, width).to(pictures).expand(count, 1, height, width)
        x = torch.cat((pictures * 2 - 1, rows, columns), dim=1)
        steps = []
        for number, step in enumerate(self.down):
            x = step(x if number == 0 else F.max_pool2d(x, 2))
            steps.append(x)
        return steps


@torch.no_grad()
def parse(judge: Judge, pictures: Tensor, batch: int = 16) -> Tensor:
    """Pictures (N, H, W, 3) uint8 -> ids (N, H, W) uint8."""
    ids = [judge(_as_input(judge, part)).argmax(dim=1).to(torch.uint8) for part in torch.split(pictures, batch)]
    return torch.cat(ids)


@torch.no_grad()
def describe(judge: Judge, pictures: Tensor, batch: int = 16) -> Tensor:
    """Pictures (N, H, W, 3) uint8 -> features (N, 128) float32."""
    return torch.cat([judge.features(_as_input(judge, part)).float() for part in torch.split(pictures, batch)])


def _as_input(judge: Judge, pictures: Tensor) -> Tensor:
    return pictures.movedim(-1, 1).to(judge.head.weight) / 255
