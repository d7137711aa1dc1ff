"""Blocks that are compiled for training: one graph for each kind of block, and the loss and gradient of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mogle_core.model.flux import compiled
from mogle_core.model.flux.compiled import compile_blocks, compiles_on
from mogle_core.model.flux.frozen import prepare_base
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.lora import MaskLoRA
from mogle_core.training.start import fresh_lora

CPU = torch.device("cpu")
PARAMS = FluxParams(
    hidden_size=64, num_heads=2, depth=3, depth_single_blocks=4, axes_dim=(8, 12, 12), context_in_dim=16, vec_in_dim=16
)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Graphs:
    """A compiler that counts the graphs it is given and runs them as they are."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function, backend=self.run)

    def run(self, graph: Any, _inputs: Any) -> Any:
        self.count += 1
        return graph.forward


def flux() -> Flux:
    torch.manual_seed(0)
    return Flux(PARAMS).requires_grad_(False)


def inputs(rows: int = 2) -> tuple[Any, ...]:
    torch.manual_seed(1)
    count = rows * 2
    x, text, pooled = torch.randn(2, count, 64), torch.randn(2, 3, 16), torch.randn(2, 16)
    return x, text, torch.rand(2), pooled, (rows, 2), torch.ones(2)


def lora_of(model: Flux) -> MaskLoRA:
    lora = fresh_lora(model, 2, torch.Generator().manual_seed(2))
    with torch.no_grad():
        for parameter in lora.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return lora


def gradient(model: Flux, lora: MaskLoRA, rows: int = 2) -> torch.Tensor:
    """Of the masks and the LoRA, after the velocity."""
    parts = inputs(rows)
    masks = torch.randn(2, rows * 2, 64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    lora.zero_grad()
    out = model(*parts, MaskCondition(masks, (rows, 2), lora.low_rank()))
    out.square().sum().backward()
    assert masks.grad is not None
    found = [out.detach(), masks.grad, *(p.grad for p in lora.parameters() if p.grad is not None)]
    return torch.cat([part.flatten() for part in found])


@pytest.mark.slow
def test_each_kind_of_block_is_compiled_once_and_computes_the_same() -> None:
    """The first double block, whose text has no gradient, the others, single blocks, and the last single block."""
    lora = lora_of(flux())
    expected = gradient(flux(), lora)
    graphs = Graphs()
    model = compile_blocks(flux(), graphs)
    model = prepare_base(model, "float32", CPU, recompute=True)
    torch.testing.assert_close(gradient(model, lora), expected, atol=1e-4, rtol=1e-4)
    assert graphs.count == 4
    gradient(model, lora)
    assert graphs.count == 4


def test_passes_without_gradients_or_masks_are_not_compiled() -> None:
    graphs = Graphs()
    model, plain = compile_blocks(flux(), graphs), flux()
    parts, lora = inputs(), lora_of(plain)
    assert torch.equal(model(*parts), plain(*parts))
    condition = MaskCondition(torch.randn(2, 4, 64), (2, 2), lora.low_rank())
    with torch.no_grad():
        assert torch.equal(model(*parts, condition), plain(*parts, condition))
    assert graphs.count == 0


def test_a_trial_says_whether_blocks_compile(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    eager = Graphs()
    monkeypatch.setattr(compiled.compile_blocks, "__defaults__", (eager,))
    assert compiles_on(CPU)
    assert eager.count == 3

    def none(_function: Any) -> Any:
        raise RuntimeError("no C compiler\nsecond line")

    monkeypatch.setattr(compiled.compile_blocks, "__defaults__", (none,))
    assert not compiles_on(CPU)
    assert "blocks do not compile here (no C compiler); they run as they are" in caplog.text
