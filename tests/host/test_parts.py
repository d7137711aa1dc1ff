"""Parts of a picture and of a batch: areas with an odd number of cells, batches that are sampled in parts, NAG."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from support import tiny
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, ids_with_squares, mask_ids, run


def in_area(comfy, positive: list, **area: float) -> list:
    return comfy.node("ConditioningSetAreaPercentage")(
        conditioning=positive, strength=1.0, **{"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0, **area}
    )[0]


@pytest.mark.parametrize("inputs", [{}, {"strength": 0.5}, {"mask_tokens": "half"}, {"refresh_every": 2}])
def test_an_area_with_odd_sides_is_sampled(inputs, base, gated, latents, comfy) -> None:
    model, positive, _, gates = gated(base, POSITIVE, latents(1), **inputs)
    part = in_area(comfy, positive, width=5 / 12, height=5 / 8)  # of 12 x 8 cells
    both = [*part, *POSITIVE]
    result = run(model, both)
    assert torch.isfinite(result).all()
    assert not torch.allclose(result, run(model, [*in_area(comfy, POSITIVE, width=5 / 12, height=5 / 8), *POSITIVE]))
    assert {step.grid for step in gates.steps} <= {(3, 3), (2, 2)}


def test_an_odd_area_is_padded_as_core_pads_it(base, gated, latents, comfy) -> None:
    """As the even area that holds the circularly padded latent and mask: the same tokens."""
    network = comfy.module("mogle_core.model.flux_latents")
    odd = torch.randn(2, 16, 5, 7)
    padded = comfy_pad(odd)
    assert torch.equal(network.pack(odd), network.pack(padded))
    assert torch.equal(network.pad_to_tokens(odd), padded)


def comfy_pad(latent: torch.Tensor) -> torch.Tensor:
    import comfy.ldm.common_dit

    return comfy.ldm.common_dit.pad_to_patch_size(latent, (2, 2))


def test_a_region_prompt_in_an_odd_area(base, gated, latents, comfy) -> None:
    (prompts,) = comfy.node("MoGLERegionPrompt")(region="skin", conditioning=NEGATIVE, strength=2.0)
    ids = torch.ones(1, HEIGHT, WIDTH, dtype=torch.uint8)
    masks = comfy.module("mogle_core.masks.decouple").Decoupled(ids)
    encoded = comfy.node("MoGLEEncode")(masks=masks, vae=tiny.tiny_vae(), width=0, height=0)[0]
    model, positive, _, _ = gated(base, POSITIVE, encoded, region_prompts=prompts)
    assert torch.isfinite(run(model, in_area(comfy, positive, width=7 / 12, height=3 / 8))).all()


def test_parts_of_a_batch_get_their_own_masks(base, gated, latents, comfy, vae) -> None:
    """Rebatch Latents hands on where its parts were in the batch; MoGLE Encode takes those masks."""
    masks = comfy.module("mogle_core.masks.decouple").Decoupled(mask_ids(3, batch=2))
    whole = tiny.empty_latent(HEIGHT, WIDTH, 2)
    encode = comfy.node("MoGLEEncode")
    together = encode(masks=masks, vae=vae, width=0, height=0, latent=whole)[0]
    for place in (0, 1):
        part = {"samples": whole["samples"][place : place + 1], "batch_index": [place]}
        own = encode(masks=masks, vae=vae, width=0, height=0, latent=part)[0]
        assert torch.equal(own.latents, together.latents[place : place + 1])
        assert torch.equal(own.ids, together.ids[place : place + 1])
    # Masks that were made for the part stay as they are.
    one = comfy.module("mogle_core.masks.decouple").Decoupled(mask_ids(4))
    part = {"samples": whole["samples"][1:], "batch_index": [1]}
    assert torch.equal(encode(masks=one, vae=vae, width=0, height=0, latent=part)[0].ids, one.ids)


def test_more_masks_than_pictures_is_a_warning(base, gated, latents, caplog) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1, 2))
    with caplog.at_level(logging.WARNING):
        run(model, positive, batch=2)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        run(model, positive, batch=1)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "batch of 2" in said and "MoGLE Encode's latent" in said


def nag(model: Any, **settings: float) -> Any:
    module = pytest.importorskip("comfy_extras.nodes_nag", reason="core's NAGuidance, in ComfyUI from 0.4 or so on")
    settings = {"nag_scale": 5.0, "nag_alpha": 0.5, "nag_tau": 1.5, **settings}
    return module.NAGuidance.execute(model=model, **settings).args[0]


def looked_at(model: Any, seen: list[tuple[int, ...]]) -> Any:
    """A patch that could compare conditionings, and changes nothing."""

    def look(out: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        seen.append(tuple(options["cond_or_uncond"]))
        return out

    model = model.clone()
    model.set_model_attn1_output_patch(look)
    return model


@pytest.mark.parametrize("texts", [False, True], ids=["", "region_prompts"])
@pytest.mark.parametrize(
    "inputs", [{}, {"strength": 0.5}, {"mask_tokens": "half"}, {"mask_tokens": "merged"}, {"refresh_every": 2}]
)
def test_a_negative_without_a_mask_shares_the_pass_that_compares_it(inputs, texts, base, gated, scene, comfy) -> None:
    """And is computed as without a mask: the result is that of two passes."""
    if texts and "mask_tokens" in inputs:
        inputs = {"start_percent": 0.3}  # region prompts need every mask token
    if texts:
        (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=NEGATIVE, strength=2.0)
        inputs = {**inputs, "region_prompts": prompts}
    masks = scene.encoded(torch.cat((ids_with_squares(1, (0, 0), (1, 1)), ids_with_squares(2, (0, 1)))))
    model, positive, _, gates = gated(base, POSITIVE, masks, **inputs)
    settings: dict[str, Any] = {"batch": 2, "cfg": 2.0, "steps": 4}
    expected = run(model, positive, NEGATIVE, **settings)
    seen: list[tuple[int, ...]] = []
    result = run(looked_at(model, seen), positive, NEGATIVE, **settings)
    assert torch.allclose(result, expected, atol=1e-4)
    if comfy.module("nodes.host.versions").PATCHES_ATTENTION:
        assert {frozenset(chunks) for chunks in seen} == {frozenset((0, 1))}
        assert {frozenset(step.conditionings) for step in gates.steps} == {frozenset((0, 1))}
    else:
        assert torch.equal(result, expected) and not seen


def test_passes_are_shared_beside_patches_of_the_inputs_and_foreign_attention(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), strength=0.5)
    expected = run(model, positive, NEGATIVE, cfg=2.0)
    model = looked_at(model, [])
    model.set_model_patch(lambda q, k, v, **more: {"q": q, "k": k, "v": v}, "attn1_patch")
    model.model_options["transformer_options"]["optimized_attention_override"] = lambda func, *args, **more: func(
        *args, **more
    )
    assert torch.allclose(run(model, positive, NEGATIVE, cfg=2.0), expected, atol=1e-4)


def test_nag_compares_the_mask_with_an_unmasked_negative(base, gated, latents, caplog) -> None:
    model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE)
    plain = run(model, positive)
    with caplog.at_level(logging.WARNING):
        both = run(nag(model), positive, negative)
        guided = run(nag(model), positive, NEGATIVE)
    assert not caplog.records
    for one, other in ((guided, plain), (guided, both), (guided, run(nag(base), POSITIVE, NEGATIVE))):
        assert not torch.allclose(one, other, atol=1e-3)
    # At a scale of 1 the guidance is the positive's own attention.
    assert torch.allclose(run(nag(model, nag_scale=1.0), positive, NEGATIVE), plain, atol=1e-4)


def test_nag_outside_of_the_mask_s_time_window_is_that_of_plain_flux(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), start_percent=1.0)
    assert torch.equal(run(nag(model), positive, NEGATIVE), run(nag(base), POSITIVE, NEGATIVE))


def test_nag_that_cannot_compare_says_why(base, gated, latents, comfy, caplog) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    with caplog.at_level(logging.WARNING):
        run(nag(model), positive, in_area(comfy, NEGATIVE, width=0.5))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "NAGuidance has no effect" in said and "area" in said
