"""The official code's numbers, computed with a real ComfyUI model that the nodes have patched."""

from __future__ import annotations

import pytest
from support import tiny
from support.golden import CASES, SETTINGS, reference_frequencies


@pytest.fixture(autouse=True)
def as_the_reference_rounded(comfy, monkeypatch):
    network = comfy.module("mogle_core.model.mixture.network")
    frequencies = reference_frequencies(network)
    monkeypatch.setattr(network, "_frequencies", lambda device: frequencies)


@pytest.mark.parametrize("case", ["default", "batch2_early", "late_gate01", "strength_half", "strength_1_7"])
def test_velocity(scene, case: str) -> None:
    tensors, settings = CASES[case], SETTINGS[case]
    model, positive = scene.golden(case, tiny.golden_flux())
    noisy = tiny.unpacked(tensors["noise_latents"], *settings["grid"])
    velocity = tiny.packed(tiny.velocity(model, noisy, settings["t"], positive))
    assert (velocity - tensors["velocity"]).abs().max() < 1e-5


def test_trajectory(scene) -> None:
    tensors, settings = CASES["euler4"], SETTINGS["euler4"]
    model, positive = scene.golden("euler4", tiny.golden_flux())
    start = tiny.unpacked(tensors["noise_latents"], *settings["grid"])
    steps = tiny.trajectory(model, start, tensors["sigmas"], positive)
    assert len(steps) == len(tensors["trajectory"]) + 1
    for ours, reference in zip(steps[1:], tensors["trajectory"], strict=True):
        assert (tiny.packed(ours) - reference).abs().max() < 1e-5
