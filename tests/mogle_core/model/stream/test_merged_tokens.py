"""Merged mask tokens: which ones are merged, and that one token with its bias equals four equal tokens."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from support.golden import read_lora, read_transformer
from support.small_models import random
from torch import Tensor

from mogle_core.model.flux import model as flux_model
from mogle_core.model.flux.attention import attend
from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture.mask_latents import MIXED, pure_cells
from mogle_core.model.stream.attention import ByStream, StreamOptions, attention_mask, who_sees_whom
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.kept_keys import Kept
from mogle_core.model.stream.mask_tokens import mask_positions, spread_positions
from mogle_core.model.stream.merged_tokens import HIDDEN, Merged, merge_squares

GRID = (4, 6)
OPTIONS = {
    "": StreamOptions(),
    "strength": StreamOptions(strength=0.6),
    "independent": StreamOptions(independent_condition=True),
    "apart": StreamOptions(union_attention=False),
}


def cells(*squares: tuple[int, int], grid: tuple[int, int] = GRID) -> Tensor:
    """(1, h, w): no two cells of one class, but for these squares, by their row and column."""
    cells = torch.arange(4 * grid[0] * grid[1]).reshape(1, 2 * grid[0], 2 * grid[1])
    for row, column in squares:
        cells[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 3
    return cells


def of(*masks: Tensor, grid: tuple[int, int] = GRID) -> Merged:
    merged = merge_squares(torch.cat(masks), grid)
    assert merged is not None
    return merged


def test_aligned_squares_of_one_class_become_one_token_in_the_places_order() -> None:
    merged = of(cells((0, 1), (1, 2)))
    places = [0, 1, [2, 3, 8, 9], 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, [16, 17, 22, 23], 18, 19, 20, 21]
    assert merged.members.tolist() == [[place if isinstance(place, list) else [place] * 4 for place in places]]
    assert merged.count == 18 and merged.alike
    four = math.log(4)
    assert merged.bias[0].tolist() == pytest.approx([four if isinstance(place, list) else 0.0 for place in places])


def test_two_squares_of_two_classes_and_one_that_is_not_aligned() -> None:
    given = cells()
    given[:, 0:4, 0:4], given[:, 0:4, 4:8] = 1, 2
    given[:, 4:8, 6:10] = 5  # between two places of the grid of squares
    assert of(given).count == 24 - 6


def test_mixed_cells_and_the_last_of_an_odd_side_stay() -> None:
    assert merge_squares(torch.full((2, 8, 12), MIXED), GRID) is None
    assert merge_squares(cells(), GRID) is None
    assert of(torch.zeros(1, 6, 10, dtype=torch.int16), grid=(3, 5)).count == 15 - 6
    # Where the latent has an odd side, the last token is half filled and stays, and so does its square.
    assert of(torch.zeros(1, 7, 12), grid=GRID).count == 24 - 9
    assert merge_squares(torch.zeros(1, 2, 2), (1, 1)) is None


def test_a_batch_is_filled_up_with_keys_that_nobody_sees() -> None:
    merged = of(cells((0, 0)), cells((0, 1), (1, 1), (1, 2)))
    assert merged.count == 21 and not merged.alike
    assert (merged.bias[1] == HIDDEN).tolist() == [False] * 15 + [True] * 6
    assert torch.equal(merged.members[:1], of(cells((0, 0))).members)
    assert torch.equal(merged.members[1:, :15], of(cells((0, 1), (1, 1), (1, 2))).members)


def test_a_cell_is_of_a_class_if_all_its_pixels_are() -> None:
    ids = torch.zeros(2, 16, 24, dtype=torch.uint8)
    ids[0, :8, 8:16] = 18
    ids[1, 15, 23] = 4
    assert pure_cells(ids).tolist() == [[[0, 18, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, MIXED]]]


def test_tokens_alone_stay_to_the_bit_and_others_are_means() -> None:
    merged, tokens = of(cells((1, 0))), random(0, 2, 24, 64)
    taken = merged.take(tokens)
    torch.testing.assert_close(taken[:, 12], tokens[:, [12, 13, 18, 19]].mean(dim=1))
    kept = [*range(12), *range(14, 18), *range(20, 24)]
    assert torch.equal(taken[:, [place for place in range(21) if place != 12]], tokens[:, kept])
    positions = merged.take(spread_positions(mask_positions(*GRID), GRID, GRID))
    assert positions.shape == (1, 21, 3)
    assert positions[0, 12].tolist() == [0, 2.5, 0.5]


# --- In attention: against a dense mask.


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("absent", [None, torch.tensor([True, False])])
@pytest.mark.parametrize("given", [None, (24, 24), (2, 24, 24), (2, 1, 24, 24)], ids=str)
def test_the_bias_is_a_dense_masks(
    given: tuple[int, ...] | None, absent: Tensor | None, options: StreamOptions
) -> None:
    merged = of(cells((0, 0)), cells((0, 1), (1, 1)))
    q, k, v = (3 * random(seed, 2, 4, 24 + 21, 16) for seed in range(3))
    host = None if given is None else random(5, *given) > -1
    sights = who_sees_whom(host, 24, 21, options, q, absent=absent, bias=merged.row(q))
    plain = attention_mask(host, 24, 21, options, q, absent=absent)
    plain = torch.zeros(45, 45) if plain is None else plain
    plain = plain[:, None] if plain.ndim == 3 else plain
    expected = plain.expand(2, 1, 45, 45).clone()
    expected[..., 24:] += merged.bias[:, None, None]
    assert isinstance(sights, ByStream) == (given is None)
    dense = sights.dense(q) if isinstance(sights, ByStream) else sights
    assert dense is not None and torch.equal(dense.expand(2, 1, 45, 45), expected)
    result = attend(q.clone(), k.clone(), v, None, sights)
    assert torch.isfinite(result).all()
    torch.testing.assert_close(result, attend(q, k, v, None, expected), atol=1e-5, rtol=0)


# --- In a forward pass: against four equal tokens.


@pytest.fixture(scope="module")
def model() -> Flux:
    return read_transformer()


def squared(tokens: Tensor, merged: Merged) -> Tensor:
    """Tokens (B, L, 64) in which those that become one are equal."""
    tokens = tokens.clone()
    for picture in range(len(tokens)):
        for four in merged.members[0 if merged.alike else picture]:
            tokens[picture, four] = tokens[picture, four[0]].clone()
    return tokens


def velocity(model: Flux, mask: MaskCondition, batch: slice = slice(None), seed: int = 1) -> Tensor:
    return model(
        random(seed, 2, 24, 64)[batch],
        random(2, 2, 5, model.params.context_in_dim)[batch],
        torch.tensor([0.8, 0.3])[batch],
        random(3, 2, model.params.vec_in_dim)[batch],
        GRID,
        torch.full((2,), 3.5)[batch],
        mask,
    )


def condition(merged: Merged | None, options: StreamOptions | None = None) -> MaskCondition:
    lora = read_lora().requires_grad_(False).low_rank()
    return MaskCondition(random(4, 2, 24, 64), GRID, lora, options or StreamOptions(), merged=merged)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("absent", [None, torch.tensor([True, False])])
@pytest.mark.parametrize("separate", [False, True])
def test_one_token_is_four_equal_ones_at_its_place(
    separate: bool, absent: Tensor | None, options: StreamOptions, model: Flux, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = of(cells((0, 0)), cells((0, 1), (1, 1)))

    def at_one_place(*grid: int, axes: int = 3, device: object = None) -> Tensor:
        return torch.ones(1, grid[0] * grid[1], axes)

    monkeypatch.setattr(flux_model, "mask_positions", at_one_place)
    full = replace(condition(None, options), absent=absent, separate_calls=separate)
    full = replace(full, tokens=squared(full.tokens, merged))
    fewer = velocity(model, replace(full, merged=merged))
    torch.testing.assert_close(fewer, velocity(model, full), atol=1e-5, rtol=0)
    unequal = replace(full, tokens=random(4, 2, 24, 64))
    changed = velocity(model, replace(unequal, merged=merged)) - velocity(model, unequal)
    seen = options.union_attention
    assert (changed.abs().amax(dim=(1, 2)) > 1e-4).tolist() == [seen and absent is None, seen]


@pytest.mark.usefixtures("inference")
def test_merged_alone_is_all_tokens(model: Flux) -> None:
    """Groups of one: the same tokens at the same places, with a bias of 0."""
    alone = Merged(torch.arange(24)[None, :, None].expand(-1, -1, 4), torch.zeros(1, 24))
    torch.testing.assert_close(velocity(model, condition(alone)), velocity(model, condition(None)), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("inference")
def test_pictures_of_a_batch_are_independent(model: Flux) -> None:
    masks = cells((0, 0)), cells((0, 1), (1, 1), (1, 2))
    together = velocity(model, condition(of(*masks)))
    for place, mask in enumerate(masks):
        given, one = condition(of(mask)), slice(place, place + 1)
        alone = velocity(model, replace(given, tokens=given.tokens[one]), one)
        torch.testing.assert_close(alone, together[one], atol=1e-5, rtol=0)


@pytest.mark.usefixtures("inference")
def test_kept_keys_are_fewer_and_serve_as_those_of_the_pass(model: Flux) -> None:
    merged = of(cells((0, 0)), cells((0, 1), (1, 1), (1, 2)))
    kept: Kept = {}
    exact = velocity(model, replace(condition(merged), keep=kept))
    assert all(k.shape[2] == v.shape[2] == 21 for k, v in kept.values())
    reusing = replace(condition(merged), reuse=kept)
    torch.testing.assert_close(velocity(model, reusing), exact, atol=1e-5, rtol=0)
    assert not torch.allclose(
        velocity(model, replace(reusing, merged=replace(merged, bias=0 * merged.members[..., 0]))), exact
    )
