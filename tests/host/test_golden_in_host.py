"""The official code's numbers, computed with a real ComfyUI model that the nodes have patched."""

from __future__ import annotations

import pytest
from support import tiny
from support.golden import CASES, SETTINGS, reference_frequencies


@pytest.fixture
def patched(comfy, models_folder):
    """(case, gate_timestep, strength) -> the golden model and conditioning as the nodes make them."""

    def patch(case: str, gate_timestep: str = "sampling", strength: float = 1.0):
        tensors, settings = CASES[case], SETTINGS[case]
        rows, columns = settings["grid"]
        (mogle,) = comfy.node("MoGLELoader")(mogle_name="global_local_mask_moe.pt", gate_timestep=gate_timestep)
        (model,) = comfy.node("MoGLELoRAApply")(
            model=tiny.golden_flux(), lora_name="pytorch_lora_weights.safetensors", strength=1.0
        )
        encode = comfy.module("mogle_core.model.mixture.mask_latents")
        masks = encode.MaskLatents(tiny.unpacked(tensors["condition_latents"].flatten(0, 1), rows, columns)
                                   .unflatten(0, (-1, 20)))  # fmt: skip
        positive = [[tensors["context"], {"pooled_output": tensors["pooled"], "guidance": settings["guidance"]}]]
        model, positive, _, _ = comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=masks, strength=strength
        )
        return model, positive

    return patch


@pytest.fixture(autouse=True)
def as_the_reference_rounded(comfy, monkeypatch):
    network = comfy.module("mogle_core.model.mixture.network")
    frequencies = reference_frequencies(network)
    monkeypatch.setattr(network, "_frequencies", lambda device: frequencies)


@pytest.mark.parametrize("case", ["default", "batch2_early", "late_gate01", "strength_half", "strength_1_7"])
def test_velocity(patched, case: str) -> None:
    tensors, settings = CASES[case], SETTINGS[case]
    gate_timestep = "training" if settings["gate_timestep"] < 1 else "sampling"
    model, positive = patched(case, gate_timestep, settings["condition_scale"])
    noisy = tiny.unpacked(tensors["noise_latents"], *settings["grid"])
    velocity = tiny.packed(tiny.velocity(model, noisy, settings["t"], positive))
    assert (velocity - tensors["velocity"]).abs().max() < 1e-5


def test_trajectory(patched) -> None:
    tensors, settings = CASES["euler4"], SETTINGS["euler4"]
    model, positive = patched("euler4")
    start = tiny.unpacked(tensors["noise_latents"], *settings["grid"])
    steps = tiny.trajectory(model, start, tensors["sigmas"], positive)
    assert len(steps) == len(tensors["trajectory"]) + 1
    for ours, reference in zip(steps[1:], tensors["trajectory"], strict=True):
        assert (tiny.packed(ours) - reference).abs().max() < 1e-5
