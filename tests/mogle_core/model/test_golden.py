"""Every number of the official code's reference run, with our network, LoRA, stream and sampler."""

from __future__ import annotations

import pytest
import torch
from support.golden import (
    CASES,
    SETTINGS,
    STEPS,
    VARIANTS,
    read_lora,
    read_network,
    read_transformer,
    reference_frequencies,
    stream_options,
)
from torch import Tensor

from mogle_core.model.flux import model as flux
from mogle_core.model.mixture import network
from mogle_core.model.mixture.network import MoGLEConfig
from mogle_core.model.sampling import sigmas as sampling
from mogle_core.model.stream import lora
from mogle_core.model.stream.condition import MaskCondition


@pytest.fixture(autouse=True)
def as_the_reference_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    frequencies = reference_frequencies(network)
    monkeypatch.setattr(network, "_frequencies", lambda device: frequencies)


@pytest.fixture(scope="module")
def transformer() -> flux.Flux:
    return read_transformer()


def difference(ours: Tensor, reference: Tensor) -> float:
    assert ours.shape == reference.shape
    return (ours - reference).abs().max().item()


@pytest.mark.parametrize("case", STEPS)
def test_gate_weights_and_mask_tokens(case: str) -> None:
    tensors, config = CASES[case], VARIANTS.get(case, MoGLEConfig())
    mogle, latents = read_network(config), tensors["condition_latents"]
    timestep = torch.full((len(latents),), SETTINGS[case]["gate_timestep"])
    with torch.no_grad():
        weights = mogle.gate_weights(latents[:, 0], tensors["noise_latents"], timestep)
        tokens = mogle(latents, tensors["noise_latents"], timestep)
    reference = tensors["gate_weights"] if config.gate != "none" else None
    if config.gate == "scalar":  # the official gate hands out a weight per token and averages afterwards
        reference = reference.mean(1, keepdim=True)
    if reference is not None:
        assert difference(weights, reference) < 1e-5
    # The blend on its own, from the reference's weights; then the whole, relative to tokens of up to 12.
    blended = mogle.blend(mogle.expert_outputs(latents), reference)
    assert difference(blended, tensors["mask_tokens"]) < 1e-5
    assert difference(tokens, tensors["mask_tokens"]) < 1e-5 * tensors["mask_tokens"].abs().max()


@pytest.mark.parametrize("autograd", [False, True], ids=["inference", "autograd"])
@pytest.mark.parametrize("case", STEPS)
def test_velocity(case: str, autograd: bool, transformer: flux.Flux) -> None:
    """From the noisy image to the velocity, with our mask tokens, on both code paths of the blocks."""
    tensors, settings = CASES[case], SETTINGS[case]
    batch, grid = len(tensors["pooled"]), tuple(settings["grid"])
    with torch.set_grad_enabled(autograd):
        timestep = torch.full((batch,), settings["gate_timestep"])
        mogle = read_network(VARIANTS.get(case))
        tokens = mogle(tensors["condition_latents"], tensors["noise_latents"], timestep)
        mask = MaskCondition(tokens, grid, read_lora().low_rank(), stream_options(case))
        velocity = transformer(
            tensors["noise_latents"],
            tensors["context"],
            torch.full((batch,), settings["t"]),
            tensors["pooled"],
            grid,
            torch.full((batch,), settings["guidance"]),
            mask,
        )
    assert difference(velocity, tensors["velocity"]) < 1e-5


def test_trajectory(transformer: flux.Flux) -> None:
    tensors, settings = CASES["euler4"], SETTINGS["euler4"]
    mogle, grid, low_rank = read_network(), tuple(settings["grid"]), read_lora().low_rank()
    full_mask = tensors["condition_latents"][:, 0]
    outputs = mogle.expert_outputs(tensors["condition_latents"])

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        tokens = mogle.blend(outputs, mogle.gate_weights(full_mask, x, sigma * 1000))
        mask = MaskCondition(tokens, grid, low_rank, stream_options("euler4"))
        guidance = torch.full_like(sigma, settings["guidance"])
        return transformer(x, tensors["context"], sigma, tensors["pooled"], grid, guidance, mask)

    with torch.no_grad():
        steps = list(sampling.euler(velocity, tensors["noise_latents"], tensors["sigmas"]))
    assert len(steps) == len(tensors["trajectory"])
    for ours, reference in zip(steps, tensors["trajectory"], strict=True):
        assert difference(ours, reference) < 1e-5


def test_training_step(transformer: flux.Flux) -> None:
    """Loss and every gradient: 90 of the network, 62 of the LoRA."""
    tensors, settings = dict(CASES["training_step"]), SETTINGS["training_step"]
    mogle, mask_lora, grid = read_network(), read_lora(), tuple(settings["grid"])
    t, x0, noise = tensors["t"], tensors["x0"], tensors["noise"]
    noisy = torch.lerp(x0, noise, t[:, None, None])
    tokens = mogle(tensors["condition_latents"], noisy, t)
    mask = MaskCondition(tokens, grid, mask_lora.low_rank(), stream_options("training_step"))
    velocity = transformer(
        noisy, tensors["context"], t, tensors["pooled"], grid, torch.full_like(t, settings["guidance"]), mask
    )
    loss = torch.nn.functional.mse_loss(velocity, noise - x0)
    loss.backward()
    assert difference(loss[None], tensors["loss"]) < 1e-4

    gradients = {name: parameter.grad for name, parameter in mogle.named_parameters()}
    for name, gradient in network.to_official(gradients, mogle.config).items():
        assert difference(gradient, tensors.pop(f"grad.mogle.{name}")) < 1e-4
    for parameter in mask_lora.parameters():
        # The last block's dead work has no gradient here and zero there.
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    for name, gradient in lora.write(mask_lora).items():
        if not name.endswith(".alpha"):
            assert difference(gradient, tensors.pop(f"grad.lora.{name}")) < 1e-4
    assert not [name for name in tensors if name.startswith("grad.")]
