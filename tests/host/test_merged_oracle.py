"""Merged mask tokens in real sampling: one token for a square does what four equal tokens would do.

The expected run computes all tokens: the four of each square of one class get their mean, at the middle of the square,
and no key has a bias. This holds beside everything else that joins a run.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from support import tiny
from support.masked import MERGEABLE, NEGATIVE, POSITIVE, TOKENS, run
from torch import Tensor

IDS, BOTH = MERGEABLE[0], torch.cat(MERGEABLE)
"""One mask, and a batch of two that keep different numbers of tokens."""

REFERENCE = torch.randn(1, 16, 6, 4, generator=torch.Generator().manual_seed(4))


def averaged(tokens: Tensor, cells: Tensor) -> Tensor:
    """Tokens or positions (1 or B, M, C) with the mean of its four in each square of one class. cells: (B, h, w)."""
    result = tokens.expand(len(cells), -1, -1).clone()
    rows, columns = cells.shape[1] // 2, cells.shape[2] // 2
    for picture, classes in zip(result.unflatten(1, (rows, columns)), cells, strict=True):
        for row, column in product(range(0, rows - 1, 2), range(0, columns - 1, 2)):
            square = classes[2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            if 0 <= square.min() == square.max():
                four = picture[row : row + 2, column : column + 2]
                four[:] = four.mean(dim=(0, 1))
    return result


@pytest.fixture
def four_equal_tokens(comfy, monkeypatch) -> Callable[[], None]:
    """After four_equal_tokens(), `mask_tokens` merged computes the run that the real one is compared with."""
    passes, stream = comfy.module("nodes.host.passes"), comfy.module("mogle_core.model.stream.mask_stream")
    tokens, positions, cells = passes.mask_tokens, stream.spread_positions, []

    def no_merging(settings: Any, run: Any, step: Any) -> None:
        cells[:] = [step.cells]

    def mask_tokens(settings: Any, run: Any, step: Any) -> Tensor:
        return averaged(tokens(settings, run, step), step.cells)

    def spread_positions(ids: Tensor, *grids: Any) -> Tensor:
        return averaged(positions(ids, *grids).float(), cells[0])

    def switch() -> None:
        monkeypatch.setattr(passes, "merged_tokens", no_merging)
        monkeypatch.setattr(passes, "mask_tokens", mask_tokens)
        monkeypatch.setattr(stream, "spread_positions", spread_positions)

    return switch


def prompt(number: int = 1, **entries: Any) -> list:
    ((text, entry),) = tiny.conditioning(number)
    return [[text, {**entry, **entries}]]


def control() -> Any:
    return tiny.residuals(TOKENS)


AREAS = [*prompt(area=(8, 8, 0, 0), strength=1.0), *prompt(3, area=(8, 6, 0, 6), strength=0.5)]
CASES: dict[str, tuple[list, dict[str, Any], dict[str, Any]]] = {
    # Conditioning, inputs of Gated Condition, settings of the run.
    "a ControlNet": (prompt(control=control()), {}, {}),
    "a reference": (prompt(reference_latents=[REFERENCE]), {}, {}),
    "a ControlNet and a reference in a batch": (
        prompt(control=control(), reference_latents=[REFERENCE]),
        {"strength": 0.6},
        {"batch": 2},
    ),
    "areas": ([*AREAS, *POSITIVE], {}, {"batch": 2}),
    "guidance": (POSITIVE, {"negative": NEGATIVE}, {"cfg": 3.0, "batch": 2}),
    "keys once a run": (
        [*AREAS, *prompt(control=control(), reference_latents=[REFERENCE])],
        {"refresh_every": 0, "negative": prompt(2, reference_latents=[REFERENCE])},
        {"cfg": 2.0, "batch": 2},
    ),
    "keys in host memory": (
        prompt(reference_latents=[REFERENCE]),
        {"refresh_every": 2, "key_storage": "host memory"},
        {"batch": 2},
    ),
    "regions": (prompt(control=control()), {"regions": "hair"}, {"batch": 2}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_merged_token_does_what_its_four_would(case: str, scene, base, gated, comfy, four_equal_tokens) -> None:
    positive, inputs, settings = CASES[case]
    if "regions" in inputs:
        (regions,) = comfy.node("MoGLERegions")(region=inputs["regions"], strength=0.4, end_percent=0.5)
        inputs = {**inputs, "regions": regions}
    masks = scene.encoded(BOTH if settings.get("batch") == 2 else IDS)
    model, masked, negative, _ = gated(base, positive, masks, mask_tokens="merged", **inputs)
    given = negative if "negative" in inputs else None
    result = run(model, masked, given, **settings)
    full, masked_fully, negative, _ = gated(base, positive, masks, **inputs)
    assert not torch.allclose(result, run(full, masked_fully, given and negative, **settings), atol=1e-3)
    four_equal_tokens()
    torch.testing.assert_close(run(model, masked, given, **settings), result, atol=1e-5, rtol=0)
