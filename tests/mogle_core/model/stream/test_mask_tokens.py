"""A quarter of the mask tokens: each is in the centre of its image tokens, with the noise that the gate expects."""

from __future__ import annotations

import pytest
import torch

from mogle_core.model.flux_latents import pack, unpack
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.mask_tokens import (
    check_options,
    check_texts,
    mask_grid,
    mask_positions,
    resize_tokens,
    spread_positions,
    thin_tokens,
)


def test_half_a_side_is_a_quarter_of_the_tokens() -> None:
    assert mask_grid("full", (5, 4)) == (5, 4)
    assert mask_grid("half", (6, 4)) == (3, 2)
    assert mask_grid("half", (5, 1)) == (3, 1)
    with pytest.raises(ValueError, match="full or half"):
        mask_grid("third", (4, 4))


def test_the_same_grid_changes_no_bit() -> None:
    tokens, ids = torch.randn(2, 20, 12, 64), mask_positions(3, 4)
    assert resize_tokens(tokens, (3, 4), (3, 4)) is tokens
    assert thin_tokens(tokens[:, 0], (3, 4), (3, 4)).shape == (2, 12, 64)
    assert spread_positions(ids, (3, 4), (3, 4)) is ids


def test_latent_cells_are_averaged_in_fours() -> None:
    latents = torch.randn(2, 20, 16, 8, 12)
    fewer = unpack(resize_tokens(pack(latents), (4, 6), (2, 3)), 4, 6)
    expected = latents.unflatten(-1, (6, 2)).unflatten(-3, (4, 2)).mean((-1, -3))
    torch.testing.assert_close(fewer, expected)


def test_thinned_noise_is_as_strong() -> None:
    noise = torch.randn(1, 32 * 32, 64, generator=torch.Generator().manual_seed(0))
    assert thin_tokens(noise, (32, 32), (16, 16)).std().item() == pytest.approx(1, abs=0.01)
    assert resize_tokens(noise[:, None], (32, 32), (16, 16)).std().item() == pytest.approx(0.5, abs=0.01)


def test_each_token_is_in_the_middle_of_its_places() -> None:
    ids = spread_positions(mask_positions(4, 6), (4, 6), (2, 3))[0]
    assert ids.tolist() == [[0, row, column] for row in (0.5, 2.5) for column in (0.5, 2.5, 4.5)]
    odd = spread_positions(mask_positions(3, 1), (3, 1), (2, 1))[0]
    assert odd.tolist() == [[0, 0.5, 0], [0, 1.5, 0]]


def test_region_texts_need_all_mask_tokens() -> None:
    check_texts("full", ["a text"])
    check_texts("half", [])
    with pytest.raises(ValueError, match="set mask_tokens to full"):
        check_texts("half", ["a text"])


def test_mask_tokens_that_are_added_to_the_images_have_to_be_as_many() -> None:
    adding = StreamOptions(add_condition_attention=True)
    check_options("full", adding)
    check_options("half", StreamOptions())
    with pytest.raises(ValueError, match="add_cond_attn.*set mask_tokens to full instead of half"):
        check_options("half", adding)
