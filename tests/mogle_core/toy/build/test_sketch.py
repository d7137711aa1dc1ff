"""The last changes that the build makes to the trained sketch weights, and the embedded file."""

import torch
from safetensors.torch import load_file

from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.toy.build.sketch import SKETCH, between, strengthen
from mogle_core.toy.places import FILES, SKETCH_FILE, WEIGHTS


def test_a_gain_multiplies_the_expert_s_tokens_and_nothing_else() -> None:
    network = MoGLE(MoGLEConfig(extra=(SKETCH,))).requires_grad_(False)
    expert, latents = network.extra_experts[SKETCH], torch.randn(2, 5, 64)
    torch.nn.init.normal_(expert.net[2].weight)
    torch.nn.init.normal_(expert.net[2].bias)
    others = {name: tensor.clone() for name, tensor in network.state_dict().items() if ".net.2." not in name}
    before = expert(latents)
    strengthen(network, 1.5)
    assert torch.allclose(expert(latents), 1.5 * before, atol=1e-5)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in others.items())


def test_between_goes_the_share_from_start_to_end() -> None:
    start, end = {"a": torch.tensor([0.0, 2.0])}, {"a": torch.tensor([1.0, 4.0])}
    assert torch.allclose(between(start, end, 0.25)["a"], torch.tensor([0.25, 2.5]))


def test_the_embedded_file_has_the_mixture_of_the_world_without_sketches() -> None:
    plain, sketching = (load_file(WEIGHTS / name) for name in (FILES["mogle"], SKETCH_FILE))
    mixture = [name for name in plain if ".experts." in name or ".gating." in name]
    assert mixture and all(torch.equal(sketching[name], plain[name]) for name in mixture)
    assert all(".extra_" in name for name in sketching.keys() - plain.keys())
