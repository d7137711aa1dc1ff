"""A static checkpoint in real sampling: its keys are exact at every step and serve every prompt, seed and run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.hooks
import comfy.model_management as management
import pytest
import torch
from comfy.patcher_extension import PatcherInjection
from support import tiny
from support.host_memory import asked_shapes
from support.host_scene import LORA, Scene
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, ids_with_squares, run
from support.small_weights import TINY, lora_weights

TOKENS = HEIGHT * WIDTH // 256
NAME = "static.safetensors"


@pytest.fixture(scope="module")
def file(scene: Scene) -> Path:
    """A combined file with a static network of random weights and the golden LoRA."""
    network, files = (
        scene.comfy.module(f"mogle_core.model.{name}") for name in ("mixture.network", "checkpoints.files")
    )
    recipe = scene.comfy.module("mogle_core.model.checkpoints.recipe").Recipe
    options = scene.comfy.module("mogle_core.model.stream.attention").StreamOptions(independent_condition=True)
    path = scene.models / "mogle" / NAME
    with torch.random.fork_rng():
        torch.manual_seed(3)
        gate = network.MoGLE(network.MoGLEConfig(gate="static"))
        pooled = torch.randn(TINY.pooled)
    lora = files.read_lora(scene.models / "loras" / LORA).lora
    files.save(path, gate, lora, recipe("training", options=options, pooled=pooled, stream="static"))
    return path


@pytest.fixture
def static(scene: Scene, file: Path) -> Callable[..., Any]:
    """(model, positive, masks, **inputs) -> Gated Condition's outputs with the static checkpoint."""

    def conditioned(model: Any, positive: list, masks: Any, **inputs: Any) -> Any:
        (mogle,) = scene.comfy.node("MoGLELoader")(mogle_name=file.name)
        return scene.comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=masks, **{"strength": 1.0, **inputs}
        )

    return conditioned


@pytest.fixture(autouse=True)
def empty_store(comfy) -> Iterator[Any]:
    """The CPU's store, without the keys of the tests before."""
    store = comfy.module("nodes.host.key_memory").static_store(torch.device("cpu"))
    store.close()
    store.reuse.made = 0
    yield store.reuse
    store.close()


@pytest.fixture
def seen(base) -> list[int]:
    """For each call of `img_in`, how many tokens it embedded."""
    counts: list[int] = []
    base.model.diffusion_model.img_in.register_forward_hook(lambda module, args, out: counts.append(out.shape[1]))
    return counts


@pytest.fixture
def every_step(comfy, monkeypatch) -> Callable[[bool], None]:
    """(True): each step computes the mask stream, as where another extension reaches into attention."""
    passes = comfy.module("nodes.host.passes")
    original = passes.static_keys

    def switch(on: bool) -> None:
        monkeypatch.setattr(passes, "static_keys", (lambda *args: None) if on else original)

    return switch


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


REGION = {"region": "hair", "strength": 0.4, "start_percent": 0.0, "end_percent": 1.0}


@pytest.mark.parametrize(
    ("inputs", "settings"),
    [
        ({}, {}),
        ({"strength": 0.6}, {}),
        ({"mask_tokens": "half"}, {}),
        ({}, {"batch": 2}),
        ({"negative": NEGATIVE}, {"cfg": 3.0}),
        ({"end_percent": 0.5}, {}),
        ({"mask_guidance": "1"}, {"sampler": "heun"}),
        ({"key_storage": "host memory"}, {}),
    ],
    ids=str,
)
def test_kept_keys_are_those_of_every_step(inputs, settings, base, static, latents, every_step, empty_store) -> None:
    model, positive, negative, _ = static(base, POSITIVE, latents(1), **inputs)
    given = negative if "negative" in inputs else None
    every_step(True)
    expected = run(model, positive, given, **settings)
    every_step(False)
    result = run(model, positive, given, **settings)
    close(result, expected)
    assert empty_store.made == 1
    assert not torch.allclose(result, run(base, POSITIVE, NEGATIVE, **settings), atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2])
def test_merged_tokens_beside_kept_keys(batch, base, scene, static, every_step, empty_store) -> None:
    ids = torch.cat((ids_with_squares(1, (0, 1), (1, 1)), ids_with_squares(2, (1, 2))))[:batch]
    model, positive, _, _ = static(base, POSITIVE, scene.encoded(ids), mask_tokens="merged")
    every_step(True)
    expected = run(model, positive, batch=2)
    every_step(False)
    close(run(model, positive, batch=2), expected)
    assert empty_store.made == 1
    (kept,) = empty_store.sets()
    assert kept["double_blocks.0"][0].shape[:3:2] == (batch, TOKENS - 6 if batch == 1 else TOKENS - 3)


def test_regions_that_begin_later_have_keys_of_their_own(base, static, latents, every_step, empty_store, comfy) -> None:
    (regions,) = comfy.node("MoGLERegions")(**{**REGION, "start_percent": 0.4})
    model, positive, _, _ = static(base, POSITIVE, latents(1), regions=regions)
    every_step(True)
    expected = run(model, positive, steps=4)
    every_step(False)
    close(run(model, positive, steps=4), expected)
    assert empty_store.made == 2


def test_region_prompts_beside_kept_keys(base, static, latents, every_step, comfy) -> None:
    (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=tiny.conditioning(7, tokens=5))
    model, positive, _, _ = static(base, POSITIVE, latents(1), region_prompts=prompts)
    every_step(True)
    expected = run(model, positive)
    every_step(False)
    close(run(model, positive), expected)


@pytest.mark.parametrize("mask_tokens", ["full", "merged"])
def test_control_nets_references_and_areas_beside_kept_keys(mask_tokens, base, static, scene, every_step) -> None:
    entry = {"reference_latents": [torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(4))]}
    positive = [[POSITIVE[0][0], {**POSITIVE[0][1], **entry, "control": tiny.residuals(TOKENS)}]]
    positive += [[NEGATIVE[0][0], {**NEGATIVE[0][1], "area": (8, 6, 0, 4)}]]
    masks = scene.encoded(ids_with_squares(1, (0, 1), (1, 1)))
    model, positive, _, _ = static(base, positive, masks, mask_tokens=mask_tokens)
    every_step(True)
    expected = run(model, positive)
    every_step(False)
    close(run(model, positive), expected)


def test_a_second_run_computes_no_mask_token(base, static, latents, seen, empty_store) -> None:
    """With another prompt and seed; Gated Condition runs again, as it does where its prompt has changed."""
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


@dataclass
class Scenery:
    """What the runs below share, and one run of a step with something changed."""

    base: Any
    static: Callable[..., Any]
    latents: Callable[..., Any]

    def run(self, model: Any = None, masks: Any = None, batch: int = 1, **inputs: Any) -> None:
        masks = self.latents(1) if masks is None else masks
        model, positive, _, _ = self.static(self.base if model is None else model, POSITIVE, masks, **inputs)
        run(model, positive, batch=batch, steps=1)

    def changed(self, change: Callable[[Any], Any]) -> Any:
        model = self.base.clone()
        change(model)
        return model


def changes(comfy, at: Scenery) -> dict[str, Callable[[], None]]:
    """By what it changes: a run with one thing changed."""
    idle = PatcherInjection(inject=lambda patcher: None, eject=lambda patcher: None)
    sampling = type(at.base.get_model_object("model_sampling"))

    def lora(strength: float) -> Any:
        return comfy.node("MoGLELoRAApply")(model=at.base, lora_name=LORA, strength=strength)[0]

    def roped(model: Any) -> None:
        model.model_options["transformer_options"]["rope_options"] = {"scale_x": 2.0}

    (regions,) = comfy.node("MoGLERegions")(**REGION)
    squared = replace(at.latents(1), ids=ids_with_squares(1, (0, 0)))
    ropes = comfy.module("nodes.host.versions")._POSITIONS_TAKE_OPTIONS
    return {
        "nothing": at.run,
        "another mask": lambda: at.run(masks=at.latents(2)),
        "two masks in a batch": lambda: at.run(masks=at.latents(1, batch=2), batch=2),
        "region strengths": lambda: at.run(regions=regions),
        "mask_tokens": lambda: at.run(mask_tokens="half"),
        "merged squares": lambda: at.run(masks=squared, mask_tokens="merged"),
        "separate_calls": lambda: at.run(separate_calls=True),
        "the form of keys": lambda: at.run(key_storage="fp8"),
        "the LoRA's strength": lambda: at.run(lora(0.7)),
        "a LoRA on the base": lambda: at.run(tiny.with_lora(at.base, lora_weights(seed=5))),
        "another base": lambda: at.run(tiny.golden_flux()),
        "the base's dtype": lambda: at.run(tiny.golden_flux(dtype=torch.bfloat16)),
        "an object on the base": lambda: at.run(at.changed(lambda m: m.add_object_patch("model_sampling", sampling()))),
        "an injection": lambda: at.run(at.changed(lambda m: m.set_injections("theirs", [idle]))),
        **({"rope options": lambda: at.run(at.changed(roped))} if ropes else {}),
    }


def test_each_part_of_the_key_changed_gives_new_keys(base, static, latents, comfy, empty_store) -> None:
    parts = changes(comfy, Scenery(base, static, latents))
    for name, part in parts.items():
        empty_store.drop()
        parts["nothing"]()
        before = empty_store.made
        part()
        assert empty_store.made - before == (name != "nothing"), name


def test_which_squares_are_merged_is_part_of_the_key(base, static, latents, empty_store) -> None:
    """With the same latents."""
    at = Scenery(base, static, latents)
    for squares, made in (((0, 0), 1), ((0, 1), 2), ((0, 0), 2)):
        at.run(masks=replace(latents(1), ids=ids_with_squares(1, squares)), mask_tokens="merged")
        assert empty_store.made == made


class Elsewhere(torch.Tensor):
    """A tensor that says it is on a GPU."""

    device = torch.device("cuda")


def test_another_device_gives_new_keys(base, static, latents, comfy, monkeypatch) -> None:
    module, keys = comfy.module("nodes.host.static_keys"), []
    source = module._source

    def noted(settings: Any, ran: Any, step: Any, *rest: Any) -> Any:
        found = source(settings, ran, step, *rest)
        positions = module.image_positions(step.model.diffusion_model, step.x[:1], step.options)
        with monkeypatch.context() as patch:
            patch.setattr(module, "image_positions", lambda *given: positions)
            for x in (step.x, step.x.as_subclass(Elsewhere)):
                keys.append(source(settings, ran, replace(step, x=x), *rest).key)
        assert keys[0] == found.key
        return found

    monkeypatch.setattr(module, "_source", noted)
    model, positive, _, _ = static(base, POSITIVE, latents(1))
    run(model, positive, steps=1)
    assert [here == there for here, there in zip(*keys, strict=True)].count(False) == 1


def test_another_network_gives_new_keys(base, scene, file, static, latents, comfy, empty_store) -> None:
    model, positive, _, _ = static(base, POSITIVE, latents(1))
    run(model, positive, steps=1)
    files, network = (
        comfy.module("mogle_core.model.checkpoints.files"),
        comfy.module("mogle_core.model.mixture.network"),
    )
    found = files.read(file)
    other = network.MoGLE(found.network.config)
    for name, pooled in (("network.safetensors", found.recipe.pooled), ("pooled.safetensors", -found.recipe.pooled)):
        recipe = found.recipe.__class__("training", options=found.recipe.options, pooled=pooled, stream="static")
        files.save(file.with_name(name), other if name == "network.safetensors" else found.network, found.lora, recipe)
        (mogle,) = comfy.node("MoGLELoader")(mogle_name=name)
        model, positive, _, _ = comfy.node("MoGLEGatedCondition")(
            model=base, positive=POSITIVE, mogle=mogle, mask_latents=latents(1), strength=1.0
        )
        before = empty_store.made
        run(model, positive, steps=1)
        assert empty_store.made == before + 1, name


def disturbances(model: Any) -> dict[str, Any]:
    """The model with what reaches into attention, by its name in the warning."""

    def patched(put: Callable[[Any], None]) -> Any:
        changed = model.clone()
        put(changed)
        return changed

    def passed_on(args: Any, extra: Any) -> Any:
        return extra["original_block"](args)

    def attention(function: Any, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def override(changed: Any) -> None:
        changed.model_options["transformer_options"]["optimized_attention_override"] = attention

    return {
        "attn1_output_patch": patched(lambda m: m.set_model_patch(lambda out, options: out, "attn1_output_patch")),
        "attn1_patch": patched(
            lambda m: m.set_model_patch(lambda q, k, v, pe, attn_mask, extra_options: {}, "attn1_patch")
        ),
        "replaced blocks": patched(lambda m: m.set_model_patch_replace(passed_on, "dit", "double_block", 0)),
        "in the place of attention": patched(override),
    }


@pytest.mark.parametrize("name", ["attn1_output_patch", "attn1_patch", "replaced blocks", "in the place of attention"])
def test_the_stream_runs_at_every_step_where_others_reach_in(
    name: str, base, static, latents, seen, caplog, empty_store
) -> None:
    model, positive, _, _ = static(disturbances(base)[name], POSITIVE, latents(1))
    run(model, positive, steps=2)
    assert seen.count(TOKENS) == 4  # image and mask, each twice
    assert empty_store.made == 0
    assert name in caplog.text


def test_the_stream_runs_at_every_step_where_hooks_change_the_weights(
    base, static, latents, caplog, empty_store
) -> None:
    lora = comfy.hooks.create_hook_lora(lora_weights(seed=5), 1.0, 0.0)
    model, positive, _, _ = static(base, comfy.hooks.set_hooks_for_conditioning(POSITIVE, lora), latents(1))
    run(model, positive, NEGATIVE, steps=2)
    assert empty_store.made == 0
    assert "hooks that change the weights" in caplog.text


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
    """A prompt for each area: height, width, top and left in latent cells. Those of one size would share a pass."""
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
    """An older run's keys make room, but the two areas' do not take it from each other at each step."""
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
        close(run(model, positive, steps=3), expected)
    assert empty_store.made - before == 2
    assert [kept.form.host for kept in empty_store.sets()] == [False, True]
    assert "kept in host memory for further runs" in caplog.text


def test_gate_maps_see_the_gate_at_every_step(base, static, latents, scene, comfy, monkeypatch) -> None:
    monkeypatch.setattr(comfy.module("nodes.host"), "asks_for_gates", lambda *args: True)
    model, positive, _, gates = static(base, POSITIVE, latents(1))
    run(model, positive, steps=3)
    assert len(gates.steps) == 3


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


def test_a_checkpoint_for_another_base_is_refused(base, static, latents, comfy, scene, file) -> None:
    files = comfy.module("mogle_core.model.checkpoints.files")
    found = files.read(file)
    recipe = found.recipe.__class__(options=found.recipe.options, pooled=torch.ones(7), stream="static")
    files.save(file.with_name("narrow.safetensors"), found.network, found.lora, recipe)
    (mogle,) = comfy.node("MoGLELoader")(mogle_name="narrow.safetensors")
    with pytest.raises(ValueError, match="pooled vector has 7 numbers; this model takes 24"):
        comfy.node("MoGLEGatedCondition")(
            model=base, positive=POSITIVE, mogle=mogle, mask_latents=latents(1), strength=1.0
        )
