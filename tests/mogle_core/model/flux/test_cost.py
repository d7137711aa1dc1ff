"""Counted operations agree with torch's counter, and so do the shares computed from them."""

from __future__ import annotations

import pytest
import torch
from support.counting import allocated, flop_counter
from support.written_out import flux
from torch.utils.flop_counter import FlopCounterMode

from mogle_core.model.flux.cost import Tokens, network_operations, operations, share_of_whole
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.kept_keys import Kept

GRID, TEXT = (16, 16), 64
IMAGE = GRID[0] * GRID[1]


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("kind", ["plain", "mask", "reused"])
def test_a_pass_costs_what_torch_counts(kind: str) -> None:
    model, kept = flux(), {}
    params = model.params
    image, tokens = torch.randn(1, IMAGE, 64), torch.randn(1, IMAGE, 64)
    text, pooled = torch.randn(1, TEXT, params.context_in_dim), torch.randn(1, params.vec_in_dim)

    def run(keep: Kept | None = None, reuse: Kept | None = None) -> None:
        mask = None if kind == "plain" else MaskCondition(tokens, GRID, keep=keep, reuse=reuse)
        model(image, text, torch.ones(1), pooled, GRID, torch.ones(1), mask)

    run(keep=kept)
    with flop_counter() as counter:
        run(reuse=kept if kind == "reused" else None)
    masks = {"plain": {}, "mask": {"mask": IMAGE}, "reused": {"kept": IMAGE}}[kind]
    assert operations(params, Tokens(TEXT, IMAGE, **masks)) == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.usefixtures("inference")
def test_a_pass_needs_hardly_more_memory_than_as_many_image_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest tensor of a block, linear1's output, is 7 times as wide as the stream. No other is wide."""
    monkeypatch.setattr("mogle_core.model.stream.overwrite.SMALL", 2)  # in parts, as a model of FLUX.1's size
    model, text, pooled = flux(), torch.randn(1, TEXT, 32), torch.randn(1, 24)

    def peak(columns: int, mask: MaskCondition | None) -> int:
        image = torch.randn(1, GRID[0] * columns, 64)
        grid = (GRID[0], columns)
        return allocated(lambda: model(image, text, torch.ones(1), pooled, grid, torch.ones(1), mask), text.device)

    floor = peak(2 * GRID[1], None)
    stream = 4 * model.params.hidden_size * (TEXT + 2 * IMAGE)
    assert peak(GRID[1], MaskCondition(torch.randn(1, IMAGE, 64), GRID)) <= 1.05 * floor
    assert floor <= 12 * stream


def test_the_network_is_less_than_a_hundredth_of_a_step_at_full_size() -> None:
    network, latents, noisy = MoGLE(), torch.randn(1, 20, 256, 64), torch.randn(1, 256, 64)
    with torch.no_grad():
        with FlopCounterMode(display=False) as experts:
            outputs = network.expert_outputs(latents)
        with FlopCounterMode(display=False) as gate:
            network.blend(outputs, network.gate_weights(latents[:, 0], noisy, torch.ones(1)))
    assert network_operations(256)[0] == experts.get_total_flops()
    assert network_operations(256)[1] == pytest.approx(gate.get_total_flops(), rel=0.01)
    for tokens in (256, 1024, 4096):
        step = operations(FluxParams(), Tokens(512, tokens, mask=tokens))
        assert sum(network_operations(tokens)) < 0.01 * step


def test_shares() -> None:
    params, whole, without = FluxParams(), Tokens(512, 1024, mask=1024), Tokens(512, 1024)
    assert share_of_whole(params, [whole, whole], whole) == 1
    plain = operations(params, without) / operations(params, whole)
    assert share_of_whole(params, [whole, without], whole) == pytest.approx((1 + plain) / 2)
    assert share_of_whole(params, [], whole) == 1


def test_a_further_condition_costs_as_much_as_a_mask() -> None:
    network, latents = MoGLE(MoGLEConfig(extra=("sketch",))), torch.randn(1, 21, 256, 64)
    with torch.no_grad(), FlopCounterMode(display=False) as experts:
        network.expert_outputs(latents)
    assert network_operations(256, extra=1)[0] == experts.get_total_flops()
    assert network_operations(256, extra=1)[1] > network_operations(256)[1]
