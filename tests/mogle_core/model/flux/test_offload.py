"""The frozen base: narrow weights, recomputed activations and offloaded blocks leave the gradients unchanged."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mogle_core.model.flux.frozen import load_base
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.offload import next_block, travelling
from mogle_core.model.fp8 import FP8, Fp8Linear, narrowed, widened
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.stream.transformer import blocks_of
from mogle_core.toy.places import FILES, WEIGHTS
from mogle_core.training.data.draws import draw, generator
from mogle_core.training.start import fresh_lora
from mogle_core.training.step import Batch, Blanks, step_loss
from mogle_core.training.trainables import Trainables

CPU = torch.device("cpu")
TOY = WEIGHTS / FILES["flux"]
COUNT, GRID = 2, (2, 3)


def gradient(flux: Flux, kind: str) -> Tensor:
    """The gradient of one step from a fixed start. B is not zero, so all of the LoRA takes part."""
    rng = generator(0, "step", 0)
    tokens = GRID[0] * GRID[1]
    shapes = ((tokens, 64), (20, tokens, 64), (16, 96), (64,))
    batch = Batch(*(torch.randn(COUNT, *shape, generator=rng) for shape in shapes), GRID)
    draws, blanks = draw(rng, COUNT, tokens), Blanks(torch.zeros(tokens, 64), torch.zeros(16, 96), torch.zeros(64))
    lora = fresh_lora(flux, 2, rng)
    for parameter in lora.parameters():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=rng)
    torch.manual_seed(0)
    trainables = Trainables(MoGLE(), lora)
    with torch.autocast("cpu", torch.bfloat16, enabled=kind != "float32"):
        loss = step_loss(flux, trainables.network, trainables.lora, batch, draws, blanks)
    loss.backward()
    return torch.cat(trainables.gradients())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "bf16", "fp8"])
def test_recomputing_and_offloading_change_no_bit(kind: str) -> None:
    plain = gradient(load_base(TOY, kind, CPU), kind)
    assert plain.norm() > 0
    for offloaded in range(4):
        flux = load_base(TOY, kind, CPU, offloaded, recompute=True)
        assert torch.equal(gradient(flux, kind), plain)
        assert torch.equal(gradient(flux, kind), plain)  # and again, after the way back


def test_offloaded_weights_are_not_on_the_device_between_passes() -> None:
    flux = load_base(TOY, "bf16", CPU, 3, recompute=True)
    for block in blocks_of(flux).values():
        assert all(getattr(module, name).is_meta for module, name in travelling(block))
    assert not flux.double_blocks[0].img_mod.lin.weight.is_meta


def test_the_next_block_is_copied_ahead_in_both_directions() -> None:
    visited = [0, 1, 2, 2, 1, 0, 0]
    pairs = zip(visited, [-1, *visited], strict=False)
    assert [next_block(number, last, 3) for number, last in pairs] == [1, 2, 1, 1, 0, 1, 1]
    assert next_block(0, -1, 1) is None


@pytest.mark.parametrize("kind", ["float32", "fp8"])
def test_recomputing_stores_less(kind: str) -> None:
    def kept(flux: Flux) -> int:
        total = [0]

        def pack(tensor: Tensor) -> Tensor:
            total[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            gradient(flux, kind)
        return total[0]

    assert kept(load_base(TOY, kind, CPU, recompute=True)) < kept(load_base(TOY, kind, CPU))


def test_fp8_is_within_its_rounding_and_its_scale_is_exact() -> None:
    weight = torch.randn(64, 32, generator=generator(0, "weight", 0)) * 0.03
    narrow, scale = narrowed(weight)
    assert narrow.dtype == FP8 and scale == 2 ** scale.log2().round()
    # Three bits of mantissa: half a step is 1/16 of a normal number, and 2^-10 of the scale below those.
    error = (widened(narrow, scale, torch.float32) - weight).abs()
    assert (error <= weight.abs() / 16 + scale * 2**-10).all()
    assert torch.equal(widened(narrow, scale, torch.bfloat16).float(), widened(narrow, scale, torch.float32))


def test_an_fp8_linear_and_its_gradient_are_those_of_the_widened_weight() -> None:
    linear = nn.Linear(16, 8).requires_grad_(False)
    narrow = Fp8Linear(linear)
    wide = widened(narrow.weight, narrow.scale, torch.float32)
    x = torch.randn(2, 3, 16, requires_grad=True)
    out = narrow(x)
    torch.testing.assert_close(out, nn.functional.linear(x, wide, linear.bias))
    out.sum().backward()
    torch.testing.assert_close(x.grad, wide.sum(dim=0).expand(2, 3, 16))


def test_options_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="gradient_checkpointing = true"):
        load_base(TOY, "bf16", CPU, 1)
    with pytest.raises(ValueError, match='base_dtype = "nf4"'):
        load_base(TOY, "nf4", CPU, 1, recompute=True)
