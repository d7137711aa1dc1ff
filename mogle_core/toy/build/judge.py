"""Trains the judge on pictures degraded as a generator's might be; some should have passed through the VAE."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...masks.labels import NUM_CLASSES
from ..drawer.faceset import FaceSet
from ..judge import Judge
from .loop import Plan, fit
from .pictures import degraded


def train_judge(
    faces: FaceSet,
    plan: Plan,
    folder: Path,
    seed: int,
    device: torch.device,
    batch: int = 6,
    name: str = "judge",
) -> Judge:
    """Train by cross entropy that weights small classes more, plus the overlap (Dice) of each class that is present."""
    torch.manual_seed(seed)
    judge = Judge().to(device)
    judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = _class_weights(faces).to(device)

    def loss_of(draw: torch.Generator, _step: int) -> Tensor:
        chosen = torch.randint(len(faces), (batch,), generator=draw).numpy()
        pictures = torch.from_numpy(faces.pictures[chosen]).to(device).movedim(-1, 1) / 255
        ids = torch.from_numpy(faces.ids[chosen]).to(device).long()
        with torch.autocast(device.type, torch.bfloat16):
            logits = judge(degraded(pictures, draw).contiguous(memory_format=torch.channels_last)).float()
        return F.cross_entropy(logits, ids, weights) + _missed(logits, ids)

    average = fit(judge, loss_of, plan, folder, name, seed)
    judge.load_state_dict(average)
    return judge.requires_grad_(False).eval()


def _class_weights(faces: FaceSet) -> Tensor:
    share = torch.bincount(torch.from_numpy(faces.ids[:500]).flatten().long(), minlength=NUM_CLASSES).float()
    weights = (share / share.sum()).clamp_min(1e-4).rsqrt()
    return weights / weights.mean()


def _missed(logits: Tensor, ids: Tensor) -> Tensor:
    """1 - Dice, averaged over the classes that are present."""
    chances = logits.softmax(dim=1)
    truth = F.one_hot(ids, NUM_CLASSES).movedim(-1, 1).float()
    both, either = (chances * truth).sum((0, 2, 3)), (chances + truth).sum((0, 2, 3))
    there = truth.sum((0, 2, 3)) > 0
    return (1 - 2 * both / either.clamp_min(1))[there].mean()
