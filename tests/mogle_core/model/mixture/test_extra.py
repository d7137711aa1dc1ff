"""Further conditions: fresh they change no bit, left out they are as at strength 0, and their sum is its formula."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from mogle_core.masks.decouple import MaskError
from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.conditions import ABSENT
from mogle_core.model.flux_latents import TOKEN_WIDTH
from mogle_core.model.mixture.mask_latents import LatentCache, MaskLatents, encode_condition
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig, from_official, to_official
from mogle_core.model.mixture.regions import Region, strengths
from mogle_core.training.start import fresh_network, with_extra

BOTH = ("sketch", "landmarks")
GATES = ("matrix", "scalar", "static", "none")


def inputs(extra: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    latents = torch.randn(2, NUM_MASKS + extra, 6, TOKEN_WIDTH)
    return latents, torch.randn(2, 6, TOKEN_WIDTH), torch.tensor([0.3, 0.9])


def trained(config: MoGLEConfig) -> MoGLE:
    """A network whose further experts and weights are not at their start."""
    network = fresh_network(config, 3)
    torch.manual_seed(4)
    for part in (network.extra_experts, network.extra_gating):
        for parameter in part.parameters():
            parameter.data = torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(("gate", "experts"), [*itertools.product(GATES, ("both", "global", "local"))])
def test_a_fresh_expert_changes_no_bit(gate: str, experts: str) -> None:
    old = fresh_network(MoGLEConfig(experts=experts, gate=gate), 0)  # type: ignore[arg-type]
    new = with_extra(old, BOTH, 7)
    latents, noisy, t = inputs()
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            before, after = old(latents[:, :NUM_MASKS], noisy, t), new(latents, noisy, t)
        assert before.dtype == after.dtype and torch.equal(before, after)
    assert all(parameter.abs().sum() > 0 for parameter in new.extra_experts["sketch"].net[0].parameters())


def test_a_network_without_extra_draws_the_same_numbers_as_ever() -> None:
    torch.manual_seed(0)
    one = MoGLE()
    torch.manual_seed(0)
    other = MoGLE(MoGLEConfig(extra=("sketch",)))
    ours = one.state_dict()
    assert set(ours) == {name for name in other.state_dict() if not name.startswith("extra_")}
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("gate", GATES)
def test_the_blend_adds_each_by_its_own_weight(gate: str) -> None:
    network = trained(MoGLEConfig(gate=gate, extra=BOTH))  # type: ignore[arg-type]
    latents, noisy, t = inputs()
    outputs, weights = network.expert_outputs(latents), network.gate_weights(latents[:, 0], noisy, t)
    assert outputs.shape == (2, 6, NUM_MASKS + 2, TOKEN_WIDTH)
    if weights is None:
        weights = torch.ones(2, 6, NUM_MASKS + 2)
    else:
        assert weights.shape == (2, 1 if gate == "scalar" else 6, NUM_MASKS + 2)
        torch.testing.assert_close(weights[..., :NUM_MASKS].sum(-1), torch.ones(weights.shape[:2]))
        assert (weights[..., NUM_MASKS:] > 0).all() and (weights[..., NUM_MASKS:] < 1).all()
    expected = (weights[..., None] * outputs).sum(2)
    torch.testing.assert_close(network(latents, noisy, t), expected)


@pytest.mark.parametrize("gate", GATES)
def test_a_condition_that_is_not_given_is_as_at_strength_0(gate: str) -> None:
    network = trained(MoGLEConfig(gate=gate, extra=BOTH))  # type: ignore[arg-type]
    latents, noisy, t = inputs()
    absent = latents.clone()
    absent[:, NUM_MASKS] = ABSENT
    left_out = network(absent, noisy, t)
    factors = strengths((Region("sketch", 0.0),), (True,), BOTH)
    weights = network.gate_weights(latents[:, 0], noisy, t)
    assert torch.equal(left_out, network.blend(network.expert_outputs(latents), weights, factors))
    assert not torch.equal(left_out, network(latents, noisy, t))
    absent[:, NUM_MASKS + 1] = ABSENT
    assert torch.equal(network(absent, noisy, t), network(latents[:, :NUM_MASKS], noisy, t))


def test_absence_is_told_for_each_picture_of_a_batch() -> None:
    network = trained(MoGLEConfig(extra=("sketch",)))
    latents, noisy, t = inputs(1)
    latents[0, NUM_MASKS] = ABSENT
    together = network(latents, noisy, t)
    alone = torch.cat([network(latents[i : i + 1], noisy[i : i + 1], t[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together[:1], network(latents[:1, :NUM_MASKS], noisy[:1], t[:1]))


def test_strengths_of_conditions_do_not_touch_the_masks() -> None:
    network = trained(MoGLEConfig(extra=BOTH))
    latents, noisy, t = inputs()
    outputs, weights = network.expert_outputs(latents), network.gate_weights(latents[:, 0], noisy, t)
    assert weights is not None
    factors = strengths((Region("landmarks", 2.0),), (True,), BOTH)
    more = network.blend(outputs, weights, factors) - network.blend(outputs, weights)
    torch.testing.assert_close(more, weights[..., -1, None] * outputs[:, :, -1], atol=1e-5, rtol=1e-5)
    # A network without this condition has no weight to change.
    assert strengths((Region("landmarks", 2.0),), (True,)) is None


def test_official_names_and_back() -> None:
    config = MoGLEConfig(extra=BOTH)
    network = trained(config)
    official = to_official(network.state_dict(), config)
    new = {name for name in official if name.startswith("extra_")}
    layers = ("net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias")
    assert new == {f"extra_experts.{kind}.{layer}" for kind in BOTH for layer in layers} | {
        f"extra_gating.{kind}.{part}" for kind in BOTH for part in ("weight", "bias")
    }
    assert len(official) == 90 + len(new)
    back = from_official(official, config)
    assert all(torch.equal(back[name], tensor) for name, tensor in network.state_dict().items())


def test_names_that_cannot_be_conditions() -> None:
    with pytest.raises(ValueError, match="small letters"):
        MoGLEConfig(extra=("a.b",))
    with pytest.raises(ValueError, match="once"):
        MoGLEConfig(extra=("sketch", "sketch"))
    with pytest.raises(ValueError, match="name the network's first"):
        with_extra(fresh_network(MoGLEConfig(extra=("sketch",)), 0), ("landmarks",), 0)


def test_mask_latents_take_a_networks_order() -> None:
    masks = MaskLatents(torch.rand(1, NUM_MASKS, 16, 4, 4))
    sketch, marks = torch.rand(2, 16, 4, 4), torch.rand(1, 16, 4, 4)
    both = masks.with_condition("sketch", sketch).with_condition("landmarks", marks)
    laid = both.for_network(("landmarks", "sketch", "depth"))
    assert laid.shape == (2, NUM_MASKS + 3, 16, 4, 4)
    assert torch.equal(laid[:, NUM_MASKS], marks.expand(2, -1, -1, -1)) and torch.equal(laid[:, NUM_MASKS + 1], sketch)
    assert (laid[:, -1] == ABSENT).all() and torch.equal(laid[:, :NUM_MASKS], masks.latents.expand(2, -1, -1, -1, -1))
    assert masks.for_network(()) is masks.latents
    with pytest.raises(MaskError, match="no expert for a sketch; it has one for landmarks"):
        both.for_network(("landmarks",))
    with pytest.raises(MaskError, match="encoded at 64 x 64 pixels, and the masks at 32 x 32"):
        masks.with_condition("sketch", torch.rand(1, 16, 8, 8))
    with pytest.raises(MaskError, match="3 pictures of a sketch"):
        both.with_condition("sketch", torch.rand(3, 16, 4, 4))


def test_equal_pictures_are_encoded_once() -> None:
    calls: list[int] = []

    def vae(pictures: Tensor) -> Tensor:
        calls.append(len(pictures))
        return pictures.mean((1, 2, 3))[:, None, None, None].expand(-1, 16, 2, 2)

    cache, pictures = LatentCache(), torch.rand(1, 16, 16, 3).expand(3, -1, -1, -1)
    latents = encode_condition(pictures, vae, cache, "sketch", "vae")
    assert latents.shape == (3, 16, 2, 2) and len(calls) == 1
    encode_condition(pictures, vae, cache, "sketch", "another VAE")
    assert len(calls) == 2
