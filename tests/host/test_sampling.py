"""The mask stream in real sampling runs: what must not change, what must not mix, what must add up."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import tiny
import torch
from small_weights import TINY, lora_weights
from torch import Tensor

WIDTH, HEIGHT = 96, 64


def mask_ids(seed: int, width: int = WIDTH, height: int = HEIGHT, batch: int = 1) -> Tensor:
    """A label map of blocks: any ids will do for a random VAE and random weights."""
    ids = torch.randint(0, 19, (batch, height // 16, width // 16), generator=torch.Generator().manual_seed(seed))
    return ids.repeat_interleave(16, 1).repeat_interleave(16, 2).to(torch.uint8)


@pytest.fixture(scope="module")
def vae() -> Any:
    return tiny.tiny_vae()


@pytest.fixture
def latents(comfy, vae):
    """(seed, batch, width, height) -> MOGLE_LATENTS through MoGLE Encode."""

    def encode(seed: int, batch: int = 1, width: int = WIDTH, height: int = HEIGHT) -> Any:
        masks = comfy.module("mogle_core.masks").Decoupled(mask_ids(seed, width, height, batch))
        return comfy.node("MoGLEEncode")(masks=masks, vae=vae, width=0, height=0)[0]

    return encode


@pytest.fixture
def gated(comfy, models_folder):
    """(model, positive, latents, **inputs) -> model, positive, negative, gates; LoRA and golden network."""

    def patch(model: Any, positive: list, masks: Any, lora: float | None = 1.0, **inputs: Any) -> tuple:
        (mogle,) = comfy.node("MoGLELoader")(mogle_name="global_local_mask_moe.pt")
        if lora is not None:
            (model,) = comfy.node("MoGLELoRAApply")(
                model=model, lora_name="pytorch_lora_weights.safetensors", strength=lora
            )
        return comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=masks, **inputs
        )

    return patch


def run(model: Any, positive: list, negative: list | None = None, batch: int = 1, **settings: Any) -> Tensor:
    return tiny.sample(
        model, positive, negative, tiny.empty_latent(HEIGHT, WIDTH, batch), **{"steps": 3, **settings}
    )


@pytest.fixture
def base() -> Any:
    return tiny.golden_flux()


POSITIVE = tiny.conditioning(1)
NEGATIVE = tiny.conditioning(2)


# What must not change -------------------------------------------------------------------------------------


def test_strength_zero_is_plain_flux_to_the_byte(base, gated, latents) -> None:
    plain = run(base, POSITIVE)
    model, positive, _, _ = gated(base, POSITIVE, latents(1), strength=0.0)
    assert torch.equal(run(model, positive), plain)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    assert not torch.allclose(run(model, positive), plain, atol=1e-3)


def test_outside_the_time_window_is_plain_flux_to_the_byte(base, gated, latents) -> None:
    plain = run(base, POSITIVE)
    # Three steps of `simple` never come to the last thousandth.
    model, positive, _, _ = gated(base, POSITIVE, latents(1), start_percent=0.999, end_percent=1.0)
    assert torch.equal(run(model, positive), plain)


def test_time_window_holds_for_its_steps_only(base, gated, latents) -> None:
    record = gated(base, POSITIVE, latents(1), start_percent=0.3, end_percent=0.8)
    model, positive, _, gates = record
    halfway = run(model, positive, steps=10)
    sigmas = [float(step.sigma[0]) for step in gates.steps]
    sampling = model.get_model_object("model_sampling")
    assert 0 < len(sigmas) < 10
    assert all(sampling.percent_to_sigma(0.8) <= sigma <= sampling.percent_to_sigma(0.3) for sigma in sigmas)
    assert not torch.equal(halfway, run(base, POSITIVE, steps=10))


def test_windows_side_by_side_make_the_whole(base, gated, latents) -> None:
    """Steps inside a window are those of the full run: the first half of it from the same noise."""
    whole, positive, _, gates = gated(base, POSITIVE, latents(1))
    run(whole, positive, steps=4)
    early, positive, _, early_gates = gated(base, POSITIVE, latents(1), end_percent=0.5)
    run(early, positive, steps=4)
    for ours, theirs in zip(early_gates.steps, gates.steps, strict=False):
        assert torch.equal(ours.weights, theirs.weights)
    assert len(early_gates.steps) < len(gates.steps) == 4


def test_unpatched_branch_is_plain_flux_to_the_byte(base, gated, latents) -> None:
    before = run(base, POSITIVE)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    run(model, positive)
    assert torch.equal(run(base, POSITIVE), before)
    # A conditioning that carries a mask into a model without Gated Condition is plain, too.
    assert torch.equal(run(base, positive), before)


def test_region_control_at_its_defaults_changes_no_byte(base, gated, latents, comfy) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    (regions,) = comfy.node("MoGLERegions")(region="hair")
    (regions,) = comfy.node("MoGLERegions")(region="full mask", regions=regions)
    same, _, _, _ = gated(base, POSITIVE, latents(1), regions=regions)
    assert torch.equal(run(model, positive), run(same, positive))
    (regions,) = comfy.node("MoGLERegions")(region="hair", strength=0.0, regions=regions)
    other, _, _, _ = gated(base, POSITIVE, latents(1), regions=regions)
    assert not torch.equal(run(model, positive), run(other, positive))


# What must not mix ----------------------------------------------------------------------------------------


def test_branches_do_not_see_each_other(base, gated, latents) -> None:
    one, first, _, _ = gated(base, POSITIVE, latents(1))
    two, second, _, _ = gated(base, POSITIVE, latents(2), strength=0.7)
    alone = run(one, first), run(two, second)
    assert not torch.allclose(*alone, atol=1e-3)
    again = run(one, first), run(two, second), run(one, first)
    assert torch.equal(again[0], alone[0])
    assert torch.equal(again[1], alone[1])
    assert torch.equal(again[2], alone[0])


def test_a_second_gated_condition_replaces_the_first(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    once = run(model, positive)
    twice, positive, _, _ = gated(model, POSITIVE, latents(1))
    assert torch.equal(run(twice, positive), once)


def test_batch_of_two_with_one_mask(base, gated, latents) -> None:
    """Each picture of the batch is what it is alone: only the noise differs."""
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    noisy = torch.randn(2, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    both = tiny.velocity(model, noisy, 0.6, positive)
    for i in range(2):
        torch.testing.assert_close(both[i], tiny.velocity(model, noisy[i : i + 1], 0.6, positive)[0], atol=1e-5, rtol=0)


def test_batch_of_two_with_two_masks(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(4, batch=2))
    noisy = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    both = tiny.velocity(model, noisy.repeat(2, 1, 1, 1), 0.6, positive)
    assert not torch.allclose(both[0], both[1], atol=1e-3)
    encode = type(latents(4, batch=2))
    for i in range(2):
        single, conditioned, _, _ = gated(base, POSITIVE, encode(latents(4, batch=2).latents[i : i + 1]))
        torch.testing.assert_close(both[i], tiny.velocity(single, noisy, 0.6, conditioned)[0], atol=1e-5, rtol=0)


def test_negative_without_a_mask_at_cfg_3(base, gated, latents) -> None:
    """cfg combines the masked positive with a plain negative, each as it is alone."""
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    noisy = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    masked = tiny.velocity(model, noisy, 0.6, positive)
    plain = tiny.velocity(base, noisy, 0.6, NEGATIVE)
    guided = (noisy - tiny.trajectory(model, noisy, [0.6, 0.0], positive, NEGATIVE, cfg=3.0)[-1]) / 0.6
    torch.testing.assert_close(guided, plain + 3 * (masked - plain), atol=2e-5, rtol=0)


def test_negative_with_a_mask_at_cfg_3(base, gated, latents) -> None:
    model, positive, negative, _ = gated(base, POSITIVE, latents(1), negative=NEGATIVE)
    noisy = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    one, two = (tiny.velocity(model, noisy, 0.6, side) for side in (positive, negative))
    guided = (noisy - tiny.trajectory(model, noisy, [0.6, 0.0], positive, negative, cfg=3.0)[-1]) / 0.6
    torch.testing.assert_close(guided, two + 3 * (one - two), atol=2e-5, rtol=0)


@pytest.mark.parametrize("own_size", [False, True], ids=["encoded for the picture", "encoded for the area"])
def test_two_masks_side_by_side_by_areas(own_size: bool, base, gated, latents, comfy) -> None:
    """Each half is what its mask makes of that half alone; ComfyUI feathers the seam over 8 latent cells."""
    width = 2 * WIDTH
    area, combine = comfy.node("ConditioningSetArea"), comfy.node("ConditioningCombine")
    mask_width = WIDTH if own_size else width
    sides = []
    for seed, x in ((1, 0), (2, WIDTH)):
        model, positive, _, _ = gated(base, POSITIVE, latents(seed, width=mask_width))
        sides.append(area(conditioning=positive, width=WIDTH, height=HEIGHT, x=x, y=0, strength=1.0)[0])
    (both,) = combine(conditioning_1=sides[0], conditioning_2=sides[1])
    noisy = torch.randn(1, 16, HEIGHT // 8, width // 8, generator=torch.Generator().manual_seed(3))
    result = tiny.velocity(model, noisy, 0.6, both)
    cells = WIDTH // 8
    for side, (seed, start) in enumerate(((1, 0), (2, cells))):
        masks = latents(seed, width=mask_width)
        crop = masks if own_size else type(masks)(masks.latents[..., start : start + cells])
        alone, positive, _, _ = gated(base, POSITIVE, crop)
        expected = tiny.velocity(alone, noisy[..., start : start + cells], 0.6, positive)
        torch.testing.assert_close(result[..., start : start + cells], expected, atol=1e-5, rtol=0, msg=f"side {side}")


# What must add up -----------------------------------------------------------------------------------------


def test_queueing_twice_gives_the_same(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    assert torch.equal(run(model, positive, seed=5), run(model, positive, seed=5))
    rebuilt, positive, _, _ = gated(tiny.golden_flux(), POSITIVE, latents(1))
    assert torch.equal(run(model, positive, seed=5), run(rebuilt, positive, seed=5))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_users_lora_beside_ours(when: str, base, gated, latents) -> None:
    """It acts on the base weights, as if it were part of the model."""
    style = lora_weights(TINY, seed=3, rank=2)
    if when == "before":
        model, positive, _, _ = gated(tiny.with_lora(base, style, 0.8), POSITIVE, latents(1))
    else:
        model, positive, _, _ = gated(base, POSITIVE, latents(1))
        model = tiny.with_lora(model, style, 0.8)
    styled = run(model, positive)
    unstyled, positive, _, _ = gated(base, POSITIVE, latents(1))
    assert not torch.allclose(styled, run(unstyled, positive), atol=1e-3)

    merged = tiny.with_lora(tiny.golden_flux(), style, 0.8)
    merged.patch_model()  # the weights as a file with the style merged in would hold them
    weights = {name: tensor.clone() for name, tensor in merged.model.diffusion_model.state_dict().items()}
    expected, positive, _, _ = gated(tiny.tiny_flux(as_file(weights)), POSITIVE, latents(1))
    torch.testing.assert_close(styled, run(expected, positive), atol=1e-4, rtol=0)


def as_file(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """0.14 on calls the q and k norms' parameters `weight`; the files say `scale`."""
    return {name.replace("_norm.weight", "_norm.scale"): tensor for name, tensor in weights.items()}


def test_lora_strength(base, gated, latents) -> None:
    full, half, none = (run(*gated(base, POSITIVE, latents(1), lora=s)[:2]) for s in (1.0, 0.5, 0.0))
    assert not torch.allclose(full, half, atol=1e-4)
    without = run(*gated(base, POSITIVE, latents(1), lora=None)[:2])
    torch.testing.assert_close(none, without, atol=1e-5, rtol=0)


def test_lora_apply_after_gated_condition_is_the_same(base, gated, latents, comfy) -> None:
    before, positive, _, _ = gated(base, POSITIVE, latents(1))
    after, _, _, _ = gated(base, POSITIVE, latents(1), lora=None)
    (after,) = comfy.node("MoGLELoRAApply")(
        model=after, lora_name="pytorch_lora_weights.safetensors", strength=1.0
    )
    assert torch.equal(run(before, positive), run(after, positive))


def test_separate_calls_give_the_same(base, gated, latents) -> None:
    joint, positive, _, _ = gated(base, POSITIVE, latents(1))
    separate, _, _, _ = gated(base, POSITIVE, latents(1), separate_calls=True)
    torch.testing.assert_close(run(joint, positive), run(separate, positive), atol=1e-5, rtol=0)


def test_mask_guidance_is_the_mask_streams_alone(base, gated, latents) -> None:
    given, positive, _, _ = gated(base, POSITIVE, latents(1))
    one, _, _, _ = gated(base, POSITIVE, latents(1), mask_guidance="1")
    assert not torch.equal(run(given, positive), run(one, positive))
    unguided = tiny.conditioning(1, guidance=1.0)
    given, positive, _, _ = gated(base, unguided, latents(1))
    one, _, _, _ = gated(base, unguided, latents(1), mask_guidance="1")
    assert torch.equal(run(given, positive), run(one, positive))


def test_gates_record_every_step(base, gated, latents) -> None:
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    for _ in range(2):  # the second run replaces the first
        run(model, positive, steps=5)
        assert len(gates.steps) == 5
    for step in gates.steps:
        assert step.weights.shape == (1, HEIGHT * WIDTH // 256, 20)
        torch.testing.assert_close(step.weights.sum(-1), torch.ones(1, HEIGHT * WIDTH // 256))


def test_experts_and_modulations_are_computed_once_a_run(base, gated, latents, comfy, monkeypatch) -> None:
    sampling, network = comfy.module("nodes.host.sampling"), comfy.module("mogle_core.network")
    calls: list[str] = []
    counted_calls = [(sampling, "mask_modulations"), (network.MoGLE, "expert_outputs"), (network.MoGLE, "gate_weights")]
    for owner, name in counted_calls:
        original = getattr(owner, name)

        def counted(*args: Any, original=original, name=name, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    run(model, positive, steps=6)
    assert calls.count("mask_modulations") == calls.count("expert_outputs") == 1
    assert calls.count("gate_weights") == 6


@pytest.mark.parametrize("when", ["before", "after"])
def test_torch_compile(when: str, base, gated, latents, comfy) -> None:
    """Through core's own wrapper, which checks arguments but no transformer_options."""
    compile_model = pytest.importorskip("comfy_api.torch_helpers").set_torch_compile_wrapper
    expected = {}
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    expected["masked"], expected["plain"] = run(model, positive), run(base, POSITIVE)

    torch._dynamo.reset()
    options = {"guard_filter_fn": lambda guards: ["transformer_options" not in guard.name for guard in guards]}
    compiled = base.clone()
    if when == "before":
        compile_model(model=compiled, backend="eager", options=options)
        run(compiled, POSITIVE)  # so that a plain pass is compiled first
        compiled, positive, _, _ = gated(compiled, POSITIVE, latents(1))
    else:
        compiled, positive, _, _ = gated(compiled, POSITIVE, latents(1))
        compile_model(model=compiled, backend="eager", options=options)
    torch.testing.assert_close(run(compiled, positive), expected["masked"], atol=1e-5, rtol=0)
    torch.testing.assert_close(run(compiled, POSITIVE), expected["plain"], atol=1e-5, rtol=0)
    torch.testing.assert_close(run(compiled, positive), expected["masked"], atol=1e-5, rtol=0)


def test_fp8_weights(gated, latents) -> None:
    """Close to the same weights in float32; exactness against core's own path is in test_oracle."""
    full = tiny.golden_flux()
    rounded = {name: t.to(torch.float8_e4m3fn).float() for name, t in full.model.diffusion_model.state_dict().items()}
    expected, positive, _, _ = gated(tiny.tiny_flux(as_file(rounded)), POSITIVE, latents(1))
    fp8 = tiny.golden_flux(dtype=torch.float8_e4m3fn, compute=torch.float32)
    model, _, _, _ = gated(fp8, POSITIVE, latents(1))
    torch.testing.assert_close(run(model, positive), run(expected, positive), atol=1e-4, rtol=0)


# Words of warning -----------------------------------------------------------------------------------------


def test_a_missing_lora_is_a_warning_that_names_the_node(base, gated, latents, caplog) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), lora=None)
    with caplog.at_level(logging.WARNING):
        run(model, positive)
    assert [record for record in caplog.records if "LoRA Apply" in record.message]


def test_a_model_without_masked_conditioning_is_a_warning(base, gated, latents, caplog) -> None:
    model, _, _, _ = gated(base, POSITIVE, latents(1))
    with caplog.at_level(logging.WARNING):
        run(model, POSITIVE)
    assert [record for record in caplog.records if "positive output" in record.message]


def test_swallowed_blocks_are_a_warning(base, gated, latents, caplog) -> None:
    """Another extension that replaces every block without calling on."""
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    for i in range(2):
        model.set_model_patch_replace(lambda args, extra: args, "dit", "double_block", i)
    for i in range(3):
        model.set_model_patch_replace(lambda args, extra: args, "dit", "single_block", i)
    with caplog.at_level(logging.WARNING):
        run(model, positive)
    assert [record for record in caplog.records if "No block of this model saw the mask" in record.message]


def test_memory_estimate_counts_the_mask(base, gated, latents, monkeypatch) -> None:
    import comfy.sampler_helpers

    asked: list[list[int]] = []
    original = comfy.sampler_helpers.estimate_memory
    monkeypatch.setattr(
        comfy.sampler_helpers, "estimate_memory", lambda m, shape, c: asked.append(list(shape)) or original(m, shape, c)
    )
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    run(model, positive)
    run(base, POSITIVE)
    assert asked == [[1, 16, HEIGHT // 8, 2 * (WIDTH // 8)], [1, 16, HEIGHT // 8, WIDTH // 8]]


# Less memory than the model needs -------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.4], ids=["novram", "lowvram"])
def test_a_model_bigger_than_its_memory(share: float, gated, latents, monkeypatch) -> None:
    """ComfyUI's loader is told to keep that share of the weights; the others are streamed at each use."""
    import comfy.model_management

    style = lora_weights(TINY, seed=3, rank=2)
    masks = latents(1)
    model, positive, _, _ = gated(tiny.with_lora(tiny.golden_flux(), style, 0.8), POSITIVE, masks)
    expected = run(model, positive)

    load = comfy.model_management.LoadedModel.model_load

    def starved(loaded: Any, budget: float = 0, *args: Any, **kwargs: Any) -> Any:
        return load(loaded, max(0.1, share * loaded.model.model_size()), *args, **kwargs)

    monkeypatch.setattr(comfy.model_management.LoadedModel, "model_load", starved)
    model, positive, _, _ = gated(tiny.with_lora(tiny.golden_flux(), style, 0.8), POSITIVE, masks)
    result = run(model, positive)
    blocks = model.model.diffusion_model.double_blocks
    streamed = [module for module in blocks.modules() if getattr(module, "comfy_cast_weights", False)]
    assert streamed, "nothing was streamed: the budget did not bite"
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_what_the_loader_left_behind_is_brought_along(comfy) -> None:
    """On a card without room ComfyUI leaves our modules in host memory; `meta` stands for the card here."""
    resident = comfy.module("nodes.host.sampling").resident
    network = comfy.module("mogle_core.network").MoGLE().requires_grad_(False)
    assert resident(network, torch.device("cpu")) is network
    copy = resident(network, torch.device("meta"))
    assert {parameter.device.type for parameter in copy.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert copy.config == network.config
