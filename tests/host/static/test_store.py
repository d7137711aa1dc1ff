"""The store of static masks' keys: how long it keeps them, in which memory, and what it tells ComfyUI about them."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import comfy.model_management as management
import torch
from support import tiny
from support.host_memory import asked_shapes
from support.masked import HEIGHT, NEGATIVE, POSITIVE, TOKENS, run


def test_a_second_run_computes_no_mask_token(base, static, latents, seen, empty_store) -> None:
    """With another prompt and seed. Gated Condition runs again, as it does whenever its prompt changes."""
    model, positive, _, _ = static(base, POSITIVE, latents(1))
    run(model, positive, steps=3)
    assert seen == [TOKENS] * 4  # the mask's pass, then the image's three
    seen.clear()
    model, positive, _, _ = static(base, tiny.conditioning(8), latents(1))
    first = run(model, positive, steps=3, seed=5)
    assert seen == [TOKENS] * 3
    assert empty_store.made == 1
    empty_store.drop()
    assert torch.equal(run(model, positive, steps=3, seed=5), first)


def test_comfyui_may_take_the_keys_back_within_a_run(base, static, latents, comfy, monkeypatch, empty_store) -> None:
    sampling = comfy.module("nodes.host.sampling")
    original, models = sampling.mask_pass, management.current_loaded_models
    model, positive, _, _ = static(base, POSITIVE, latents(1))
    expected = run(model, positive, steps=4)

    def interrupted(settings: Any, run: Any, step: Any) -> Any:
        if len(run.passes) == 2:
            (keys,) = [one for one in models if type(one.model).__name__ == "KeysPatcher"]
            assert keys.model_memory() > 0
            models.remove(keys)
            keys.model_unload()
        return original(settings, run, step)

    monkeypatch.setattr(sampling, "mask_pass", interrupted)
    assert torch.equal(run(model, positive, steps=4), expected)
    assert empty_store.made == 2


def by_areas(*areas: tuple[int, ...]) -> list:
    """One prompt per area: height, width, top and left in latent cells. Areas of the same size would share a pass."""
    prompts = (tiny.conditioning(20 + number)[0] for number in range(len(areas)))
    return [
        [text, {**entry, "area": area, "strength": 1.0}] for (text, entry), area in zip(prompts, areas, strict=True)
    ]


def test_more_areas_than_a_store_keeps_are_computed_once_a_run(base, static, latents, empty_store) -> None:
    areas = [(8, 4 + 2 * number, 0, 0) for number in range(5)]
    model, positive, _, _ = static(base, by_areas(*areas), latents(1))
    run(model, positive, steps=3)
    assert empty_store.made == 5 > empty_store.most
    run(model, positive, steps=3, seed=5)
    assert empty_store.made == 5
    model, positive, _, _ = static(base, POSITIVE, latents(2))
    run(model, positive, steps=1)
    assert len(empty_store.sets()) == empty_store.most


def test_of_two_areas_one_waits_in_host_memory_where_only_one_fits(
    base, static, latents, comfy, monkeypatch, every_step, empty_store, caplog
) -> None:
    """The keys of an older run are evicted, but the two areas do not evict each other's keys at each step."""
    module, kept_keys = comfy.module("nodes.host.static_keys"), comfy.module("nodes.host.kept_keys")
    there = comfy.module("nodes.host.key_memory").bytes_there
    room = 1.2 * kept_keys.key_bytes(base.model, 1, 16)

    def free(place: torch.device) -> float:
        return 2**40 if place is module.HOST else room - there(place)

    model, positive, _, _ = static(base, by_areas((8, 8, 0, 0)), latents(2))
    run(model, positive, steps=1)
    model, positive, _, _ = static(base, by_areas((8, 8, 0, 0), (8, 4, 0, 8)), latents(1))
    every_step(True)
    expected = run(model, positive, steps=3)
    every_step(False)
    monkeypatch.setattr(module, "comfy", SimpleNamespace(model_management=SimpleNamespace(get_free_memory=free)))
    before = empty_store.made
    with caplog.at_level(logging.INFO):
        torch.testing.assert_close(run(model, positive, steps=3), expected, atol=1e-5, rtol=0)
    assert empty_store.made - before == 2
    assert [kept.form.host for kept in empty_store.sets()] == [False, True]
    assert "kept in host memory for further runs" in caplog.text


def test_the_memory_told_counts_keys_once(base, static, latents, comfy, monkeypatch) -> None:
    asked = asked_shapes(monkeypatch)
    model, positive, _, _ = static(base, POSITIVE, latents(1))
    run(model, positive, NEGATIVE, steps=1)
    run(model, positive, NEGATIVE, steps=1)
    key_memory, kept = comfy.module("nodes.host.key_memory"), comfy.module("nodes.host.kept_keys")
    there = key_memory.bytes_there(torch.device("cpu"))
    assert there == kept.key_bytes(base.model, 1, TOKENS)
    column = base.model.memory_required([1, 16, HEIGHT // 8, 1])
    assert asked[0][-1] - asked[1][-1] == -(-there // column) > 0
