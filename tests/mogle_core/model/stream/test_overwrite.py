"""When a function's result overwrites its argument, and when it must not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mogle_core.model.stream.overwrite import overwrite


def swapped(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return b + 1, a * 2


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("tokens", [1, 3, 4, 9])
def test_the_result_is_in_the_arguments_memory(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mogle_core.model.stream.overwrite.SMALL", 2)
    wide = torch.randn(2, tokens, 10)
    a, b = wide[..., :4], wide[..., 6:]
    expected, between = swapped(a, b), wide[..., 4:6].clone()
    results = overwrite(swapped, a, b)
    assert results[0] is a and results[1] is b
    assert torch.equal(a, expected[0]) and torch.equal(b, expected[1]) and torch.equal(wide[..., 4:6], between)


def test_nothing_that_autograd_needs_is_lost() -> None:
    x = torch.randn(1, 4, 2, requires_grad=True)
    kept = x.detach().clone()
    (result,) = overwrite(lambda part: (part.square(),), x)
    result.sum().backward()
    assert torch.equal(x, kept) and torch.equal(x.grad, 2 * kept)
