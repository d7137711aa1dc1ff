"""The training step: the reference's loss and gradients, dropped conditions, and draws that depend on a number."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from support.golden import CASES, GOLDEN, SETTINGS, read_lora, read_network, read_transformer
from torch import Tensor

from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.flux import model as flux
from mogle_core.model.mixture import network
from mogle_core.model.stream import lora
from mogle_core.training.data.draws import Draws, DropRates, draw, draw_samples, generator
from mogle_core.training.start import blinded, fresh_lora
from mogle_core.training.step import Batch, Blanks, dropped, step_loss


@pytest.fixture(scope="module")
def transformer() -> flux.Flux:
    return read_transformer()


@pytest.fixture
def mogle() -> network.MoGLE:
    return read_network()


@pytest.fixture
def mask_lora() -> lora.MaskLoRA:
    return read_lora()


def golden_batch(case: dict[str, Tensor]) -> tuple[Batch, Draws, Blanks]:
    grid = tuple(SETTINGS["training_step"]["grid"])
    batch = Batch(case["x0"], case["condition_latents"], case["context"], case["pooled"], grid)
    count = len(case["t"])
    kept = torch.zeros(count, dtype=torch.bool)
    draws = Draws(case["t"], case["noise"], kept, torch.zeros(count, NUM_MASKS, dtype=torch.bool))
    return batch, draws, Blanks(torch.zeros_like(case["x0"][0]), case["context"][0], case["pooled"][0])


def test_the_reference_s_loss_and_gradients(
    transformer: flux.Flux, mogle: network.MoGLE, mask_lora: lora.MaskLoRA
) -> None:
    """90 gradients of the network and 62 of the LoRA, to 1e-4."""
    case = dict(CASES["training_step"])
    loss = step_loss(transformer, mogle, mask_lora, *golden_batch(case))
    loss.backward()
    assert abs(loss.item() - case["loss"].item()) < 1e-4
    gradients = {name: parameter.grad for name, parameter in mogle.named_parameters()}
    for name, gradient in network.to_official(gradients, mogle.config).items():
        assert (gradient - case.pop(f"grad.mogle.{name}")).abs().max() < 1e-4
    for parameter in mask_lora.parameters():  # the last block's dead work: no gradient here, zero there
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    for name, gradient in lora.write(mask_lora).items():
        if not name.endswith(".alpha"):
            assert (gradient - case.pop(f"grad.lora.{name}")).abs().max() < 1e-4
    assert not [name for name in case if name.startswith("grad.")]
    assert all(parameter.grad is None for parameter in transformer.parameters())


def test_trainables_stay_float32_under_autocast(
    transformer: flux.Flux, mogle: network.MoGLE, mask_lora: lora.MaskLoRA
) -> None:
    batch, draws, blanks = golden_batch(dict(CASES["training_step"]))
    exact = step_loss(transformer, mogle, mask_lora, batch, draws, blanks)
    with torch.autocast("cpu", torch.bfloat16):
        loss = step_loss(transformer, mogle, mask_lora, batch, draws, blanks)
    loss.backward()
    assert loss.dtype == torch.float32
    assert abs(loss / exact - 1) < 0.02
    assert {parameter.grad.dtype for parameter in mogle.parameters()} == {torch.float32}


@pytest.mark.parametrize("blind", [True, False])
def test_the_masks_vector_is_blind_to_the_samples_text(
    blind: bool, transformer: flux.Flux, mogle: network.MoGLE, mask_lora: lora.MaskLoRA
) -> None:
    """The image sees its text in either case; what the mask's modulations are made of is noted."""
    batch, draws, blanks = golden_batch(dict(CASES["training_step"]))
    seen: list[Tensor] = []
    original = flux.Flux.modulate_mask

    def noted(model: flux.Flux, pooled: Tensor, *rest: object) -> dict[str, Tensor]:
        seen.append(pooled)
        return original(model, pooled, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flux.Flux, "modulate_mask", noted)
        loss = step_loss(transformer, mogle, mask_lora, batch, draws, blanks, blind=blind)
    assert torch.equal(seen[0], blanks.pooled[None] if blind else batch.pooled)
    loss.backward()
    modulations = [name for name in mask_lora.rows if name.endswith(("img_mod.lin", "modulation.lin"))]
    assert modulations
    assert all(part.up.grad is not None for name in modulations for part in mask_lora.parts(name))


def test_a_blinded_gate_gives_the_mean_weights_of_its_first_layer(mogle: network.MoGLE) -> None:
    """With noise 0, its hidden layer before the ReLU is the old one's mean over training's times."""
    blind, full_mask = blinded(mogle), torch.randn(2, 5, 64)
    times = torch.sigmoid(torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    old, new = mogle.gating, blind.gating
    assert old is not None and new is not None
    with torch.no_grad():
        seen = full_mask + old.noise_proj.bias + old.timestep_embedding(times).mean(dim=0)
        hidden = new.gate[0](full_mask)
        torch.testing.assert_close(hidden, old.gate[0](seen), atol=3e-2, rtol=0)  # two samplings of the times
        assert not torch.allclose(hidden, old.gate[0](full_mask), atol=0.1)
    assert blind.config.gate == "static" and blind.config.experts == mogle.config.experts
    others = [name for name in blind.state_dict() if name != "gating.gate.0.bias"]
    assert all(torch.equal(blind.state_dict()[name], mogle.state_dict()[name]) for name in others)
    assert blind.state_dict()["experts.weight_in"].data_ptr() != mogle.state_dict()["experts.weight_in"].data_ptr()


def test_dropped_conditions_become_blanks_and_nothing_else_changes() -> None:
    batch, draws, blanks = golden_batch(dict(CASES["training_step"]))
    drop_masks = torch.zeros_like(draws.drop_masks)
    drop_masks[0, 3] = True
    changed = dropped(batch, replace(draws, drop_masks=drop_masks, drop_text=torch.tensor([False, True])), blanks)
    assert torch.equal(changed.masks[0, 3], blanks.black)
    others = ~drop_masks
    assert torch.equal(changed.masks[others], batch.masks[others])
    assert torch.equal(changed.context[0], batch.context[0])
    assert torch.equal(changed.context[1], blanks.context)
    assert torch.equal(changed.pooled[1], blanks.pooled)
    assert torch.equal(changed.x0, batch.x0)


def test_the_full_mask_is_never_dropped_and_rates_hold() -> None:
    draws = draw(generator(0, "rates", 0), 4000, 1, DropRates(text=0.1, local_mask=0.3))
    assert not draws.drop_masks[:, 0].any()
    assert abs(draws.drop_masks[:, 1:].float().mean() - 0.3) < 0.01
    assert abs(draws.drop_text.float().mean() - 0.1) < 0.02
    # t is a logistic-normal: its logit has mean 0 and deviation 1.
    logit = draws.t.logit()
    assert abs(logit.mean()) < 0.06
    assert abs(logit.std() - 1) < 0.05


def test_a_sample_s_draws_depend_on_its_number_only() -> None:
    together = draw_samples(7, "train", [3, 4, 5], tokens=4)
    alone = draw_samples(7, "train", [4], tokens=4)
    for whole, one in ((together.t, alone.t), (together.noise, alone.noise), (together.drop_masks, alone.drop_masks)):
        assert torch.equal(whole[1:2], one)
    for other in (draw_samples(8, "train", [4], 4), draw_samples(7, "check", [4], 4), draw_samples(7, "train", [5], 4)):
        assert not torch.equal(other.noise, alone.noise)


def test_a_fresh_lora_has_the_official_layers_and_changes_nothing(transformer: flux.Flux) -> None:
    fresh = fresh_lora(transformer, rank=4, rng=generator(0, "lora", 0))
    official = set(load_file(GOLDEN / "pytorch_lora_weights.safetensors"))
    assert {name for name in lora.write(fresh) if not name.endswith(".alpha")} == official
    for update in fresh.low_rank().values():
        assert not update.up.any()
        assert update.down.any()
