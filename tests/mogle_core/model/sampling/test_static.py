"""A static stream without ComfyUI: its keys are those of every step, and serve every prompt, seed and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.small_models import Small, random, small
from torch import Tensor

from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.mixture.regions import Region
from mogle_core.model.sampling import sampler
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.model.sampling.sampler import noise_of, sample
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.key_forms import KeyForm
from mogle_core.model.stream.region_text import RegionText
from mogle_core.model.stream.static_keys import StaticKeys, digest

SIDE = 4


def static(seed: int = 0, gate: str = "static") -> Small:
    models = small(seed, gate)
    pooled = random(9, models.flux.params.vec_in_dim)
    options = StreamOptions(independent_condition=True)
    return replace(models, recipe=Recipe("training", options=options, pooled=pooled, stream="static"))


@pytest.fixture(scope="module")
def models() -> Small:
    return static()


def run(models: Small, store: StaticKeys | None = None, text: int = 1, seed: int = 3, **given: Any) -> Tensor:
    """Three steps; masks, texts and record besides the sampling options."""
    masks = given.pop("masks", random(2, 2, 20, SIDE * SIDE, 64))
    texts, record, cells = given.pop("texts", ()), given.pop("record", None), given.pop("cells", None)
    params, count = models.flux.params, len(masks)
    prompts = [
        (random(seed, count, 3, params.context_in_dim), random(seed + 1, count, params.vec_in_dim))
        for seed in (text, text + 10)
    ]
    noise = noise_of(range(seed, seed + count), 16 * SIDE, 16 * SIDE)
    options = SamplingOptions(given.pop("steps", 3), 3.0, **given)
    return sample(models, masks, prompts[0], noise, options, texts, prompts[1], record, store, cells)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """every_step(True) makes every step compute the mask stream with text and image, and stores no keys."""
    original = sampler._Stream.__init__

    def computing(stream: Any, models: Small, *given: Any) -> None:
        original(stream, replace(models, recipe=replace(models.recipe, stream="exact")), *given)

    return lambda on: monkeypatch.setattr(sampler._Stream, "__init__", computing if on else original)


AREA = torch.zeros(2, SIDE * SIDE, dtype=torch.bool)
AREA[:, :6] = True
CELLS = torch.arange(2 * 4 * SIDE * SIDE).reshape(2, 2 * SIDE, 2 * SIDE)
CELLS[0, :4], CELLS[1, 4:, 4:] = 1, 7
SAME = random(2, 1, 20, SIDE * SIDE, 64).expand(2, -1, -1, -1)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, 1),
        ({"strength": 0.5}, 1),
        ({"cfg": 2.0}, 1),
        ({"masks": SAME}, 1),
        ({"mask_tokens": "half"}, 1),
        ({"mask_tokens": "merged", "cells": CELLS}, 1),
        ({"mask_tokens": "merged", "cells": CELLS, "masks": SAME}, 1),
        ({"mask_tokens": "merged", "cells": CELLS[1:].expand(2, -1, -1), "masks": SAME}, 1),
        ({"mask_guidance": 2.0}, 1),
        ({"keys": KeyForm(host=True)}, 1),
        ({"regions": (Region("hair", 0.4),)}, 1),
        ({"regions": (Region("hair", 0.4, 0.0, 0.5),)}, 2),
        ({"texts": (RegionText(random(5, 2, 4, 32), AREA, 1.0, 0.2),)}, 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_kept_keys_are_those_of_every_step(
    given: dict[str, Any], made: int, models: Small, every_step: Callable[[bool], None]
) -> None:
    every_step(True)
    expected = run(models, **given)
    every_step(False)
    store = StaticKeys()
    close(run(models, store, **given), expected)
    assert store.made == made
    blind = replace(models, recipe=replace(models.recipe, pooled=models.recipe.pooled * 2))
    assert not torch.allclose(run(blind, **given), expected, atol=1e-4)


def test_a_plain_sum_has_no_gate_to_blind(every_step: Callable[[bool], None]) -> None:
    models = static(gate="none")
    every_step(True)
    expected = run(models)
    every_step(False)
    close(run(models), expected)


def test_a_second_run_computes_no_mask_token(models: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[int] = []
    handle = models.flux.img_in.register_forward_hook(lambda module, args, out: embedded.append(out.shape[1]))
    experts: list[None] = []
    original = MoGLE.blend
    monkeypatch.setattr(MoGLE, "blend", lambda *args: experts.append(None) or original(*args))
    store = StaticKeys()
    run(models, store)
    assert embedded == [SIDE * SIDE] * 4  # the mask's pass, then the image's three
    assert len(experts) == 1
    embedded.clear()
    second = run(models, store, text=7, seed=8)
    handle.remove()
    assert embedded == [SIDE * SIDE] * 3
    assert len(experts) == 1
    assert torch.equal(run(models, None, text=7, seed=8), second)


def test_pictures_with_one_mask_share_its_keys(models: Small) -> None:
    store = StaticKeys()
    run(models, store, masks=SAME)
    run(models, store, masks=SAME[:1])
    assert store.made == 1
    (kept,) = store.sets()
    assert kept["double_blocks.0"][0].shape[0] == 1


def test_what_is_merged_is_part_of_the_key(models: Small) -> None:
    store = StaticKeys()
    for cells in (None, CELLS, CELLS.flip(0), CELLS[:1].expand(2, -1, -1)):
        made = store.made
        for _ in range(2):
            run(models, store, masks=SAME, mask_tokens="merged", cells=cells)
        assert store.made == made + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda models: replace(models, flux=static().flux),
        lambda models: replace(models, network=static(1).network),
        lambda models: replace(models, lora=static(1).lora),
        lambda models: replace(models, recipe=replace(models.recipe, pooled=models.recipe.pooled + 1)),
    ],
    ids=["the base", "the network", "the LoRA", "the pooled vector"],
)
def test_another_model_has_other_keys(change: Callable[[Small], Small], models: Small) -> None:
    store = StaticKeys()
    run(models, store, steps=1)
    run(models, store, steps=1)
    assert store.made == 1
    run(change(models), store, steps=1)
    assert store.made == 2


class Elsewhere(Tensor):
    """A tensor that says it is on a GPU."""

    device = torch.device("cuda")


def test_another_device_has_other_keys(models: Small) -> None:
    masks = random(2, 1, 20, SIDE * SIDE, 64)
    stream = sampler._Stream(models, masks, (SIDE, SIDE), SamplingOptions(1, 3.0), None)
    assert stream._source(models, masks) == stream.source
    there = stream._source(models, masks.as_subclass(Elsewhere))
    assert [here == other for here, other in zip(stream.source, there, strict=True)].count(False) == 1


def test_the_record_has_the_gate_of_every_step_and_picture(models: Small) -> None:
    moments: list[Any] = []
    run(models, masks=SAME, record=moments.append)
    assert [tuple(moment.gates.shape) for moment in moments] == [(2, SIDE * SIDE, 20)] * 3
    expected = models.network.gate_weights(SAME[:, 0], SAME[:, 0], torch.zeros(2))
    close(moments[0].gates, expected)


def test_a_vector_that_is_blind_alone_still_follows_the_picture(models: Small) -> None:
    """One of the three ingredients by itself: the stream runs at every step, and its vector ignores the prompt."""
    exact = replace(models, network=static(gate="matrix").network, recipe=replace(models.recipe, stream="exact"))
    seen: list[dict[str, Tensor]] = []
    original = Flux.forward

    def noted(model: Flux, *given: Any) -> Tensor:
        seen.append(given[-1].modulations)
        return original(model, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flux, "forward", noted)
        run(exact, text=1, steps=1)
        run(exact, text=7, steps=1)
    assert seen[0].keys() == seen[1].keys() and len(seen[0]) > 0
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


def test_a_store_keeps_the_masks_used_last() -> None:
    store = StaticKeys(most=2)
    for key in ("a", "b", "a", "c"):
        store.get(key, dict)
    assert [key in store for key in "abc"] == [True, False, True]
    store.drop()
    assert store.sets() == []
    assert store.made == 3


def test_a_store_gives_up_nothing_that_is_needed() -> None:
    store, needed = StaticKeys(most=2), list[str]()
    for key in ("old", "a", "b", "c", "a", "b", "c"):
        needed += [key] * (key != "old")
        store.get(key, dict, needed)
    assert store.made == 4
    assert [key in store for key in ("old", "a", "b", "c")] == [False, True, True, True]
    store.get("d", dict, ("c",))
    assert [key in store for key in "abcd"] == [False, False, True, True]
    store.shrink(0, ("d",))
    assert [key in store for key in "cd"] == [False, True]


def test_a_digest_tells_numbers_shapes_and_dtypes_apart() -> None:
    given = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4).half(), torch.ones(4), torch.zeros(8).half()]
    assert len({digest([tensor]) for tensor in given}) == len(given)
    assert digest([torch.zeros(2, 4).mT]) == digest([torch.zeros(4, 2)])
