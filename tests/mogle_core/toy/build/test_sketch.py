"""Tests how the sketch stage changes the trained weights before it writes them, and checks the embedded file."""

import torch
from safetensors.torch import load_file

from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.toy.build.sketch import SKETCH, strengthen, widened
from mogle_core.toy.places import FILES, SKETCH_FILE, WEIGHTS
from mogle_core.toy.world import load_world


def test_a_widened_lora_changes_every_layer_as_before() -> None:
    world = load_world()
    wide = widened(world.lora.float(), world.flux, 24, torch.Generator().manual_seed(0))
    before, after = world.lora.low_rank(), wide.low_rank()
    assert before.keys() == after.keys()
    for name, update in before.items():
        x = torch.randn(3, update.down.shape[1])
        assert after[name].down.shape[0] == 3 * update.down.shape[0]
        assert torch.allclose(after[name](x), update(x), atol=1e-5)


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


def test_the_embedded_file_has_the_tensors_of_the_world_without_sketches_and_an_expert() -> None:
    plain, sketching = (load_file(WEIGHTS / name) for name in (FILES["mogle"], SKETCH_FILE))
    assert plain.keys() < sketching.keys()
    assert all(".extra_" in name for name in sketching.keys() - plain.keys())
