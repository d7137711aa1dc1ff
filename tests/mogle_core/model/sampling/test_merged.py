"""Whole runs with merged mask tokens: independent pictures, kept keys, and what excludes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from support.small_models import Small, random, small
from torch import Tensor

from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.mixture.regions import Region
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.model.sampling.sampler import noise_of, sample
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.key_forms import KeyForm
from mogle_core.model.stream.refresh import Refresh
from mogle_core.model.stream.region_text import RegionText

SIDE = 4
CELLS = torch.arange(2 * 4 * SIDE * SIDE).reshape(2, 2 * SIDE, 2 * SIDE)
CELLS[0, :4], CELLS[1, 4:, 4:] = 1, 7  # two squares of the first picture, one of the second


@pytest.fixture(scope="module")
def models() -> Small:
    return small()


def run(models: Small, some: slice = slice(None), **given: Any) -> Tensor:
    """Three steps of the pictures `some` of two; cells and texts besides the sampling options."""
    params = models.flux.params
    cells, texts = given.pop("cells", CELLS), given.pop("texts", ())
    prompts = [
        (random(seed, 2, 3, params.context_in_dim)[some], random(seed, 2, params.vec_in_dim)[some]) for seed in (1, 2)
    ]
    masks, noise = random(3, 2, 20, SIDE * SIDE, 64)[some], noise_of(range(2)[some], 16 * SIDE, 16 * SIDE)
    options = SamplingOptions(given.pop("steps", 3), 3.0, mask_tokens=given.pop("mask_tokens", "merged"), **given)
    return sample(
        models, masks, prompts[0], noise, options, texts, prompts[1], cells=None if cells is None else cells[some]
    )


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"strength": 0.5},
    {"cfg": 2.0},
    {"regions": (Region("hair", 0.4, 0.0, 0.5),)},
    {"refresh": Refresh(0)},
    {"refresh": Refresh(2), "keys": KeyForm(host=True)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda value: " ".join(value))
def test_a_picture_does_not_depend_on_its_batch(options: dict[str, Any], models: Small) -> None:
    together = run(models, **options)
    for place in range(2):
        close(run(models, slice(place, place + 1), **options), together[place : place + 1])
    assert not torch.allclose(together, run(models, mask_tokens="full", **options), atol=1e-3)


@pytest.mark.parametrize("cells", [None, torch.full((2, 2 * SIDE, 2 * SIDE), -1), CELLS.flip(0)[:1] * 0 - 1])
def test_where_nothing_is_known_or_of_one_class_all_tokens_stay(cells: Tensor | None, models: Small) -> None:
    assert torch.equal(run(models, cells=cells), run(models, mask_tokens="full"))
    assert torch.equal(run(models, mask_tokens="full", cells=None), run(models, mask_tokens="full"))


def test_adaptive_refreshes_by_what_the_tokens_were_before_they_were_merged(models: Small) -> None:
    close(run(models, refresh=Refresh(schedule="adaptive", threshold=0.0)), run(models))
    once = run(models, refresh=Refresh(schedule="adaptive", threshold=1e9))
    assert torch.equal(once, run(models, refresh=Refresh(0)))
    assert not torch.allclose(once, run(models), atol=1e-6)


def test_fewer_keys_in_8_bits_are_near(models: Small) -> None:
    near = run(models, refresh=Refresh(0), keys=KeyForm(fp8=True)) - run(models, refresh=Refresh(0))
    assert 0 < near.abs().max() < 0.1


def test_region_prompts_are_refused(models: Small) -> None:
    text = RegionText(random(5, 2, 4, models.flux.params.context_in_dim), torch.ones(2, SIDE * SIDE) > 0)
    with pytest.raises(ValueError, match="set mask_tokens to full instead of merged"):
        run(models, texts=(text,))


@pytest.mark.parametrize("fewer", ["half", "merged"])
def test_a_checkpoint_that_adds_each_mask_token_to_the_images_is_refused(fewer: str, models: Small) -> None:
    adding = replace(models, recipe=Recipe("sampling", options=StreamOptions(add_condition_attention=True)))
    with pytest.raises(ValueError, match=f"add_cond_attn.*instead of {fewer}"):
        run(adding, mask_tokens=fewer)
    run(adding, mask_tokens="full")
