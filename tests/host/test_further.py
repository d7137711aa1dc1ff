"""Further conditions in a running ComfyUI: a fresh expert changes no bit, a trained one does, and nothing is silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, run
from torch import Tensor

SIZE = {"width": WIDTH, "height": HEIGHT}


@pytest.fixture(scope="module")
def network(scene: Any, comfy: Any) -> Callable[..., str]:
    """Writes the golden network with experts for these kinds: network(*kinds, trained) returns the file's name."""
    files = comfy.module("mogle_core.model.checkpoints.files")
    start = comfy.module("mogle_core.training.start")
    golden = files.read_network(scene.models / "mogle" / "global_local_mask_moe.pt")

    def write(*kinds: str, trained: bool = False) -> str:
        grown = start.with_extra(golden.network, kinds, 0)
        if trained:
            torch.manual_seed(2)
            for expert in grown.extra_experts.values():
                expert.net[2].weight.data = torch.randn(64, 32) / 4
        name = f"further_{'_'.join(kinds)}_{trained}.safetensors"
        files.save(scene.models / "mogle" / name, grown, None, golden.recipe)
        return name

    return write


@pytest.fixture
def sampled(base: Any, comfy: Any, scene: Any) -> Callable[..., Tensor]:
    """Samples with a network: sampled(network, masks, **inputs) returns the result. A `negative` is sampled as well."""

    def sample(name: str, masks: Any, **inputs: Any) -> Tensor:
        (mogle,) = comfy.node("MoGLELoader")(mogle_name=name)
        (model,) = comfy.node("MoGLELoRAApply")(model=base, lora_name="pytorch_lora_weights.safetensors", strength=1.0)
        gated = comfy.node("MoGLEGatedCondition")(
            model=model, positive=POSITIVE, mogle=mogle, mask_latents=masks, **inputs
        )
        sample.gates = gated[3]  # type: ignore[attr-defined]
        return run(gated[0], gated[1], NEGATIVE, cfg=2.0)

    return sample


def drawing() -> Tensor:
    image = torch.zeros(1, SIZE["height"], SIZE["width"], 3)
    image[:, 10:14, 8:60] = 1
    return image


def test_a_fresh_expert_changes_no_bit_and_a_trained_one_does(latents, network, sampled, comfy, vae) -> None:
    masks = latents(1)
    plain = sampled("global_local_mask_moe.pt", masks)
    (both,) = comfy.node("MoGLEAddCondition")(
        image=drawing(), kind="sketch", vae=vae, width=0, height=0, mask_latents=masks
    )
    assert torch.equal(sampled(network("sketch"), both), plain)
    trained = network("sketch", "landmarks", trained=True)
    assert not torch.equal(sampled(trained, both), plain)
    assert torch.equal(sampled(trained, masks), plain)  # not given
    (regions,) = comfy.node("MoGLERegions")(region="sketch", strength=0.0, start_percent=0.0, end_percent=1.0)
    assert torch.equal(sampled(trained, both, regions=regions), plain)


def test_a_condition_without_masks_is_blank_masks_with_it(network, sampled, comfy, vae) -> None:
    add = comfy.node("MoGLEAddCondition")
    (alone,) = add(image=drawing(), kind="sketch", vae=vae, width=0, height=0)
    zeros = torch.zeros(1, SIZE["height"], SIZE["width"], dtype=torch.uint8)
    blank = comfy.module("mogle_core.masks.decouple").Decoupled(zeros, "blank")
    (encoded, _) = comfy.node("MoGLEEncode")(masks=blank, vae=vae, width=0, height=0)[:2]
    (both,) = add(image=1 - drawing(), kind="sketch", vae=vae, width=0, height=0, mask_latents=encoded)
    assert torch.equal(alone.latents, both.latents) and torch.equal(alone.extra["sketch"], both.extra["sketch"])
    name = network("sketch", trained=True)
    assert torch.equal(sampled(name, alone), sampled(name, both))


def test_what_the_network_lacks_is_refused(latents, network, sampled, comfy, vae) -> None:
    (both,) = comfy.node("MoGLEAddCondition")(
        image=drawing(), kind="sketch", vae=vae, width=0, height=0, mask_latents=latents(1)
    )
    with pytest.raises(ValueError, match="no expert for a sketch; it has experts for the masks alone"):
        sampled("global_local_mask_moe.pt", both)
    with pytest.raises(ValueError, match="no expert for a sketch; it has one for landmarks"):
        sampled(network("landmarks"), both)


def test_landmarks_from_points_and_sizes_that_do_not_fit(latents, comfy, vae) -> None:
    add, masks = comfy.node("MoGLEAddCondition"), latents(1)
    given = {"image": drawing(), "kind": "landmarks", "vae": vae, "width": 0, "height": 0}
    (marked,) = add(**given, mask_latents=masks, points='{"jaw": [[0.2, 0.5], [0.5, 0.9], [0.8, 0.5]]}')
    assert list(marked.extra) == ["landmarks"]
    with pytest.raises(ValueError, match="no line 'ear'"):
        add(**given, points='{"ear": [[0, 0]]}')
    with pytest.raises(ValueError, match="set width and height of Add Condition"):
        add(**{**given, "kind": "sketch", "width": 32, "height": 32}, mask_latents=masks)
    with pytest.raises(ValueError, match="Add Condition cannot use a picture of 40 x 32 pixels"):
        add(**{**given, "width": 40, "height": 32})


def test_gate_maps_show_the_condition(latents, network, comfy, base, vae, scene) -> None:
    record = comfy.module("mogle_core.model.mixture.gate_record")
    maps = comfy.module("mogle_core.model.mixture.gate_maps")
    kept = record.GateRecord(extra=("sketch",))
    kept.add(record.GateStep(torch.tensor([1.0]), torch.rand(1, 6, 21), (3, 2)))
    frames = maps.read_gates(kept)
    assert frames.title(20) == "sketch" and 20 in maps.chosen(frames, "strongest")
    assert maps.chosen(frames, "sketch, hair") == (20, 14)
    assert int(maps.winners(frames, frames.experts).max()) < 20
    sheet = comfy.module("mogle_core.model.mixture.gate_sheet").heat_sheet(frames, (20,), (0,))
    assert sheet.width > 100


@pytest.mark.parametrize("style", ["shading", "edges", "outlines"])
def test_face_sketch_draws_white_on_black(style: str, comfy) -> None:
    ids = torch.zeros(1, 64, 64, dtype=torch.uint8)
    ids[:, 16:48, 16:48] = 1
    image = comfy.module("mogle_core.masks.decouple").colours(ids)
    (sketch,) = comfy.node("MoGLEFaceSketch")(image=image, style=style, line_width=1.5, detail=0.5)
    assert sketch.shape == (1, 64, 64, 3) and sketch.max() > 0.5 and sketch.mean() < 0.3
    assert sketch[:, :12].max() < 0.05
