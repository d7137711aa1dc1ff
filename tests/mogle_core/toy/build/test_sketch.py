"""Tests how the sketch stage changes the trained weights before it writes them, and checks the embedded file."""

import torch
from safetensors.torch import load_file

from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.toy.build.sketch import SKETCH, between, strengthen
from mogle_core.toy.places import FILES, SKETCH_FILE, WEIGHTS


def test_between_goes_the_share_from_start_to_end() -> None:
    start, end = {"a": torch.tensor([0.0, 2.0])}, {"a": torch.tensor([1.0, 4.0])}
    assert torch.allclose(between(start, end, 0.25)["a"], torch.tensor([0.25, 2.5]))


def test_strengthen_scales_the_tokens_of_the_sketch_expert_only() -> None:
    network = MoGLE(MoGLEConfig(extra=(SKETCH,))).requires_grad_(False)
    expert, latents = network.extra_experts[SKETCH], torch.randn(2, 5, 64)
    torch.nn.init.normal_(expert.net[2].weight)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tokens = expert(latents)
    strengthen(network, 2.0)
    assert torch.allclose(expert(latents), 2 * tokens, atol=1e-5)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"extra_experts.{SKETCH}.net.2.weight"}  # its bias is still zero


def test_the_embedded_file_has_the_mixture_of_the_world_without_sketches() -> None:
    plain, sketching = (load_file(WEIGHTS / name) for name in (FILES["mogle"], SKETCH_FILE))
    mixture = [name for name in plain if ".experts." in name or ".gating." in name]
    assert mixture and all(torch.equal(sketching[name], plain[name]) for name in mixture)
    assert all(".extra_" in name for name in sketching.keys() - plain.keys())
