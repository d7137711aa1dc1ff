"""Experts, gate and blend equal their formulas in every variant."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor, nn

from mogle_core.model.flux_latents import TOKEN_WIDTH, pack, unpack
from mogle_core.model.mixture.network import NUM_MASKS, Experts, MoGLE, MoGLEConfig, from_official, to_official

BATCH, ROWS, COLUMNS = 2, 3, 2
TOKENS = ROWS * COLUMNS
VARIANTS = [
    MoGLEConfig(experts, has_experts, gate)
    for experts, has_experts, gate in itertools.product(
        ("both", "global", "local"), (True, False), ("matrix", "scalar", "static", "none")
    )
]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    latents = torch.randn(BATCH, NUM_MASKS, TOKENS, TOKEN_WIDTH)
    return latents, torch.randn(BATCH, TOKENS, TOKEN_WIDTH), torch.tensor([1000.0, 3.5])


def name_of(config: MoGLEConfig) -> str:
    return f"{config.experts}-{'experts' if config.has_experts else 'identity'}-{config.gate}"


def test_batched_experts_are_a_loop_over_small_networks() -> None:
    experts = Experts(NUM_MASKS)
    latents = inputs()[0]
    looped = []
    for i in range(NUM_MASKS):
        small = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 64))
        small[0].weight.data, small[0].bias.data = experts.weight_in[i].data, experts.bias_in[i].data
        small[2].weight.data, small[2].bias.data = experts.weight_out[i].data, experts.bias_out[i].data
        looped.append(small(latents[:, i]))
    torch.testing.assert_close(experts(latents), torch.stack(looped, 1))


def test_experts_start_as_torch_starts_a_linear() -> None:
    experts = Experts(200)  # many, so that the largest of the uniform numbers is near its bound
    for tensor, fan_in in ((experts.weight_in, 64), (experts.bias_in, 64), (experts.weight_out, 32)):
        assert tensor.abs().max().item() == pytest.approx(fan_in**-0.5, rel=1e-2)
        assert tensor.mean().abs().item() < 0.01


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_every_variant(config: MoGLEConfig) -> None:
    """Shapes, and a forward pass equal to the sum over experts of weight times output."""
    mogle, (latents, noisy, timestep) = MoGLE(config), inputs()
    expected = {"both": NUM_MASKS, "global": 1, "local": NUM_MASKS - 1}[config.experts]
    outputs = mogle.expert_outputs(latents)
    weights = mogle.gate_weights(latents[:, 0], noisy, timestep)
    assert outputs.shape == (BATCH, TOKENS, expected, TOKEN_WIDTH)
    if not config.has_experts:
        assert torch.equal(outputs, latents[:, config.masks].transpose(1, 2))
    if config.gate == "none":
        assert weights is None
        weights = torch.ones(BATCH, TOKENS, expected)
    else:
        assert weights.shape == (BATCH, 1 if config.gate == "scalar" else TOKENS, expected)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
    blended = sum(weights[:, :, i, None] * outputs[:, :, i] for i in range(expected))
    torch.testing.assert_close(mogle(latents, noisy, timestep), blended)


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_official_names_and_back(config: MoGLEConfig) -> None:
    mogle = MoGLE(config)
    official = to_official(mogle.state_dict(), config)
    experts = {name.split(".net.")[0] for name in official if ".net." in name}
    assert len(official) == 4 * len(experts) + len([name for name in official if name.startswith("gating.")])
    assert len(experts) == (config.num_experts if config.has_experts else 0)
    assert ("global_expert" in experts) == (config.has_experts and config.experts != "local")
    # Ten tensors of a gate that sees time and noise, four of a static one.
    gating = {"none": 0, "static": 4}.get(config.gate, 10)
    assert len([name for name in official if name.startswith("gating.")]) == gating

    back = from_official(official, config)
    assert back.keys() == mogle.state_dict().keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in mogle.state_dict().items())


def test_default_is_face_mogle() -> None:
    mogle = MoGLE()
    assert len(to_official(mogle.state_dict(), mogle.config)) == 90
    assert sum(parameter.numel() for parameter in mogle.parameters()) == 101_780


def test_a_lost_official_tensor_is_named() -> None:
    official = to_official(MoGLE().state_dict(), MoGLEConfig())
    del official["local_experts.7.net.2.bias"]
    with pytest.raises(KeyError, match=r"local_experts\.7\.net\.2\.bias"):
        from_official(official, MoGLEConfig())


def test_gate_is_its_formula() -> None:
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    gate, full = mogle.gating, latents[:, 0]
    frequencies = torch.exp(-torch.log(torch.tensor(10_000.0)) * torch.arange(32) / 32)
    angles = timestep[:, None] * frequencies
    time = gate.timestep_embedding
    embedding = time.linear_2(nn.functional.silu(time.linear_1(torch.cat((angles.cos(), angles.sin()), 1))))
    seen = full + gate.noise_proj(noisy) + embedding[:, None]
    expected = torch.softmax(gate.gate[2](gate.gate[0](seen).relu()), -1)
    torch.testing.assert_close(mogle.gate_weights(full, noisy, timestep), expected, rtol=1e-3, atol=1e-5)


def test_scalar_gate_is_the_mean_of_the_matrix_gate() -> None:
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    weights = mogle.gate_weights(latents[:, 0], noisy, timestep)
    mogle.config = dataclasses.replace(mogle.config, gate="scalar")
    assert torch.equal(mogle.gate_weights(latents[:, 0], noisy, timestep), weights.mean(1, keepdim=True))


def test_static_gate_is_blind_to_noise_and_time() -> None:
    static, (latents, noisy, timestep) = MoGLE(MoGLEConfig(gate="static")), inputs()
    moving, full = MoGLE(), latents[:, 0]
    assert torch.equal(static.gate_weights(full, noisy, timestep), static.gate_weights(full, -noisy, 0 * timestep))
    assert not torch.equal(static.gate_weights(full, noisy, timestep), static.gate_weights(-full, noisy, timestep))
    before = moving.gate_weights(full, noisy, timestep)
    assert not torch.allclose(before, moving.gate_weights(full, -noisy, timestep))
    assert not torch.allclose(before, moving.gate_weights(full, noisy, 0 * timestep))


def test_each_token_has_its_own_gate() -> None:
    """If the tokens are permuted, the weights are permuted in the same way."""
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    order = torch.randperm(TOKENS)
    weights = mogle.gate_weights(latents[:, 0], noisy, timestep)
    shuffled = mogle.gate_weights(latents[:, 0, order], noisy[:, order], timestep)
    torch.testing.assert_close(shuffled, weights[:, order])


def test_batch_items_are_independent() -> None:
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    together = mogle(latents, noisy, timestep)
    alone = torch.cat([mogle(latents[i : i + 1], noisy[i : i + 1], timestep[i : i + 1]) for i in range(BATCH)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("gate", ["matrix", "scalar", "static", "none"])
def test_strengths_of_one_change_nothing(gate: str) -> None:
    mogle, (latents, noisy, timestep) = MoGLE(MoGLEConfig(gate=gate)), inputs()
    weights, outputs = mogle.gate_weights(latents[:, 0], noisy, timestep), mogle.expert_outputs(latents)
    plain = mogle.blend(outputs, weights)
    torch.testing.assert_close(mogle.blend(outputs, weights, torch.ones(NUM_MASKS)), plain)


@pytest.mark.parametrize("config", [MoGLEConfig(), MoGLEConfig("local"), MoGLEConfig(gate="none")], ids=name_of)
def test_strength_zero_takes_a_mask_out(config: MoGLEConfig) -> None:
    mogle, (latents, noisy, timestep) = MoGLE(config), inputs()
    weights, strengths = mogle.gate_weights(latents[:, 0], noisy, timestep), torch.ones(NUM_MASKS)
    strengths[14] = 0
    other = latents.clone()
    other[:, 14] += 10
    before, after = mogle.expert_outputs(latents), mogle.expert_outputs(other)
    assert torch.equal(mogle.blend(before, weights, strengths), mogle.blend(after, weights, strengths))
    assert not torch.allclose(mogle.blend(before, weights), mogle.blend(after, weights))


def test_strengths_are_renormalised() -> None:
    """A common factor on all strengths changes nothing. One doubled region has w' = 2w / (1 + w)."""
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    weights, outputs = mogle.gate_weights(latents[:, 0], noisy, timestep), mogle.expert_outputs(latents)
    strengths = torch.rand(NUM_MASKS)
    torch.testing.assert_close(mogle.blend(outputs, weights, 2 * strengths), mogle.blend(outputs, weights, strengths))
    doubled = torch.ones(NUM_MASKS)
    doubled[5] = 2
    share = weights[..., 5:6]
    rest = (mogle.blend(outputs, weights) - share * outputs[:, :, 5]) / (1 + share)
    torch.testing.assert_close(
        mogle.blend(outputs, weights, doubled), rest + 2 * share / (1 + share) * outputs[:, :, 5]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_all_masks_taken_out_leave_zero_tokens(dtype: torch.dtype) -> None:
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    weights, outputs = mogle.gate_weights(latents[:, 0], noisy, timestep), mogle.expert_outputs(latents)
    blended = mogle.blend(outputs.to(dtype), weights.to(dtype), torch.zeros(NUM_MASKS))
    assert torch.equal(blended, torch.zeros_like(blended))


def test_runs_in_bfloat16() -> None:
    mogle, (latents, noisy, timestep) = MoGLE(), inputs()
    exact = mogle(latents, noisy, timestep)
    half = mogle.to(torch.bfloat16)(latents.bfloat16(), noisy.bfloat16(), timestep)
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_pack_is_the_written_out_index_formula() -> None:
    latents = torch.randn(BATCH, 5, 2 * ROWS, 2 * COLUMNS)
    tokens = pack(latents)
    assert tokens.shape == (BATCH, TOKENS, 20)
    for row, column, channel, down, right in itertools.product(range(ROWS), range(COLUMNS), range(5), (0, 1), (0, 1)):
        token, place = row * COLUMNS + column, 4 * channel + 2 * down + right
        assert torch.equal(tokens[:, token, place], latents[:, channel, 2 * row + down, 2 * column + right])


@pytest.mark.parametrize("lead", [(), (3,), (2, NUM_MASKS)])
def test_unpack_undoes_pack(lead: tuple[int, ...]) -> None:
    latents = torch.randn(*lead, 16, 2 * ROWS, 2 * COLUMNS)
    assert torch.equal(unpack(pack(latents), 2 * ROWS, 2 * COLUMNS), latents)
