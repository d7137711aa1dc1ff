"""What a static mask's stored keys depend on. If any of it changes, they are computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from comfy.patcher_extension import PatcherInjection
from support import tiny
from support.host_scene import LORA
from support.masked import POSITIVE, REGION, ids_with_squares, run
from support.small_weights import lora_weights


@dataclass
class Scenery:
    """The fixtures that all runs below need, and a run of one step with one thing changed."""

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
    """Runs that change one thing each, by the name of that thing."""
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
    """Even between masks with the same latents."""
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
