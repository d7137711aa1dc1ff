"""The small parts of the modulation. The tests of the blocks check what it computes."""

from __future__ import annotations

import math

import torch

from mogle_core.model.stream.modulation import finite


def test_float16_is_kept_finite() -> None:
    x = torch.tensor([1.0, math.inf, -math.inf, math.nan], dtype=torch.float16)
    assert finite(x).tolist() == [1.0, 65504.0, -65504.0, 0.0]
    for dtype in (torch.bfloat16, torch.float32):
        wide = torch.tensor([math.inf], dtype=dtype)
        assert finite(wide) is wide
