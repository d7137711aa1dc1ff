"""The official code's reference run: its models and cases, read once for all tests that hold to them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def read_cases() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Tensor]]]:
    """Each case's settings, and each case's tensors."""
    with safe_open(GOLDEN / "cases.safetensors", "pt") as file:
        settings = json.loads(file.metadata()["cases"])
        tensors: dict[str, dict[str, Tensor]] = {}
        for key in file.keys():  # noqa: SIM118 (safe_open is no dict)
            case, name = key.split("/", 1)
            tensors.setdefault(case, {})[name] = file.get_tensor(key)
    return settings, tensors


SETTINGS, CASES = read_cases()


def reference_frequencies(network: ModuleType) -> Tensor:
    """The gate's 32 time frequencies as the reference's processor had them.

    It rounded one up where the nearest is down: exp(-3 ln 10000 / 32) lies 0.479 of a float32 step above its
    lower neighbour, a tie, nearly. At t = 970 that step moves gate weights by 4e-5; the official code itself,
    run on another processor than the reference's, is that far off.
    """
    frequencies: Tensor = network._frequencies(torch.device("cpu")).clone()
    frequencies[3] = torch.nextafter(frequencies[3], torch.tensor(torch.inf))
    return frequencies
