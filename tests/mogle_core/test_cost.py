"""Counted operations against torch's own counter, and the shares that follow from them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from written_out import flux

from mogle_core.cost import Tokens, network_operations, operations, share_of_whole
from mogle_core.flux import FluxParams, MaskCondition
from mogle_core.network import MoGLE
from mogle_core.reuse import Kept

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
    # torch's counter leaves out a CPU's fused attention.
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(
        display=False, custom_mapping={fused: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}
    ) as counter:
        run(reuse=kept if kind == "reused" else None)
    masks = {"plain": {}, "mask": {"mask": IMAGE}, "reused": {"kept": IMAGE}}[kind]
    assert operations(params, Tokens(TEXT, IMAGE, **masks)) == pytest.approx(counter.get_total_flops(), rel=0.02)


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
