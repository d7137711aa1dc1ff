"""Region prompts in real sampling: no effect where they cannot act, and the same results as the core."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import tiny
from support.golden import CASES, GOLDEN, SETTINGS
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, run
from torch import Tensor


def noise(batch: int = 1, width: int = WIDTH) -> Tensor:
    return torch.randn(batch, 16, HEIGHT // 8, width // 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def prompted(comfy):
    """Runs Region Prompt with random text of five tokens: prompted(region, seed, **inputs) returns its output."""

    def prompt(region: str = "hair", seed: int = 7, tokens: int = 5, **inputs: Any) -> tuple:
        text = tiny.conditioning(seed, tokens=tokens)
        return comfy.node("MoGLERegionPrompt")(region=region, conditioning=text, **inputs)[0]

    return prompt


@pytest.fixture
def mapped(comfy, vae):
    """mapped(ids) encodes a label map with MoGLE Encode."""

    def encode(ids: Tensor) -> Any:
        masks = comfy.module("mogle_core.masks.decouple").Decoupled(ids)
        return comfy.node("MoGLEEncode")(masks=masks, vae=vae, width=0, height=0)[0]

    return encode


def hair_above(batch: int = 1, width: int = WIDTH, rows: tuple[int, ...] = (16,)) -> Tensor:
    """Skin, and hair in the given number of top pixel rows of each image."""
    ids = torch.ones(batch, HEIGHT, width, dtype=torch.uint8)
    for picture, count in zip(ids, rows * batch, strict=False):
        picture[:count] = 13
    return ids


# --- Absent.


def test_with_nothing_to_say_no_byte_changes(base, gated, prompted, mapped, caplog) -> None:
    masks = mapped(hair_above())
    model, positive, _, _ = gated(base, POSITIVE, masks)
    plain = run(model, positive)
    with caplog.at_level(logging.WARNING):
        silent = {
            "no prompt": (),
            "strength 0": prompted(strength=0.0),
            "no such class in the mask": prompted("hat"),
            "a time that never comes": prompted(start_percent=0.999),
        }
        for name, prompts in silent.items():
            same, positive, _, _ = gated(base, POSITIVE, masks, region_prompts=prompts)
            assert torch.equal(run(same, positive), plain), name
    assert "The mask has no hat, so its Region Prompt does nothing." in caplog.text
    heard, positive, _, _ = gated(base, POSITIVE, masks, region_prompts=prompted())
    assert not torch.allclose(run(heard, positive), plain, atol=1e-3)


def test_a_model_without_gated_condition_ignores_it(base, gated, prompted, mapped) -> None:
    _, positive, _, _ = gated(base, POSITIVE, mapped(hair_above()), region_prompts=prompted())
    assert torch.equal(run(base, positive), run(base, POSITIVE))
    off, positive, _, _ = gated(base, POSITIVE, mapped(hair_above()), region_prompts=prompted(), strength=0.0)
    assert torch.equal(run(off, positive), run(base, POSITIVE))


def test_it_acts_in_its_time_window_only(base, gated, prompted, mapped, comfy, monkeypatch) -> None:
    sampling, lengths = comfy.module("nodes.host.sampling"), []
    original = sampling.open_stream

    def noted(*given: Any) -> Any:
        lengths.append(given[-1])
        return original(*given)

    monkeypatch.setattr(sampling, "open_stream", noted)
    prompts = prompted(tokens=5, end_percent=0.5) + prompted("skin", tokens=3, start_percent=0.51)
    model, positive, _, _ = gated(base, POSITIVE, mapped(hair_above()), region_prompts=prompts)
    run(model, positive, steps=4)
    assert lengths == sorted(lengths, reverse=True)
    assert set(lengths) == {8 + 5, 8 + 3}


# --- As the core computes it.


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("case", ["default", "batch2_early"])
def test_the_host_and_the_core_agree(case: str, strength: float, base, comfy, gated, prompted) -> None:
    """The same weights, mask latents and texts, once in ComfyUI and once in our transformer."""
    tensors, settings = CASES[case], SETTINGS[case]
    rows, columns = settings["grid"]
    batch = len(tensors["noise_latents"])
    ids = torch.randint(0, 3, (batch, rows, columns), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    ids = ids.repeat_interleave(16, 1).repeat_interleave(16, 2)
    latents = tiny.unpacked(tensors["condition_latents"].flatten(0, 1), rows, columns).unflatten(0, (-1, 20))
    masks = comfy.module("mogle_core.model.mixture.mask_latents").MaskLatents(latents, ids)
    positive = [[tensors["context"], {"pooled_output": tensors["pooled"], "guidance": settings["guidance"]}]]
    prompts = prompted("skin", 7, strength=0.5) + prompted("nose", 8, tokens=3, prompt_strength=1.0)
    model, conditioned, _, _ = gated(base, positive, masks, region_prompts=prompts, strength=strength)
    noisy = tiny.unpacked(tensors["noise_latents"], rows, columns)
    found = tiny.packed(tiny.velocity(model, noisy, settings["t"], conditioned))

    expected = in_the_core(comfy, case, ids, prompts, strength)
    assert (found - expected).abs().max() < 1e-5
    without, conditioned, _, _ = gated(base, positive, masks, strength=strength)
    assert (tiny.packed(tiny.velocity(without, noisy, settings["t"], conditioned)) - found).abs().max() > 1e-3


@torch.no_grad()
def in_the_core(comfy: Any, case: str, ids: Tensor, prompts: tuple, strength: float) -> Tensor:
    files = comfy.module("mogle_core.model.flux.files")
    latents, checkpoints = (
        comfy.module("mogle_core.model.mixture.mask_latents"),
        comfy.module("mogle_core.model.checkpoints.files"),
    )
    texts = comfy.module("mogle_core.model.stream.region_text")
    tensors, settings = CASES[case], SETTINGS[case]
    weights = load_file(GOLDEN / "flux_tiny.safetensors")
    params = files.read_params({name: tuple(t.shape) for name, t in weights.items()}, (4, 6, 6))
    transformer = files.load(weights.items(), params)
    network = checkpoints.read_network(str(GOLDEN / "global_local_mask_moe.pt")).network
    lora = (
        comfy.module("mogle_core.model.stream.lora")
        .parse(load_file(GOLDEN / "pytorch_lora_weights.safetensors"))
        .low_rank()
    )
    noisy = tensors["noise_latents"]
    time = torch.full((len(noisy),), float(settings["t"]))
    mask = comfy.module("mogle_core.model.stream.condition").MaskCondition(
        tokens=network(tensors["condition_latents"], noisy, time * 1000),
        grid=tuple(settings["grid"]),
        lora=lora,
        options=comfy.module("mogle_core.model.stream.attention").StreamOptions(strength=strength),
        texts=tuple(
            texts.RegionText(
                one.context,
                texts.area_of(latents.class_shares(ids, one.region)),
                one.strength,
                one.prompt_strength,
            )
            for one in prompts
        ),
    )
    guidance = torch.full_like(time, settings["guidance"])
    context, pooled = (tensors[name].expand(len(noisy), *tensors[name].shape[1:]) for name in ("context", "pooled"))
    return transformer(noisy, context, time, pooled, tuple(settings["grid"]), guidance, mask)


# --- What must not mix.


def test_it_acts_in_the_area_of_each_picture_of_a_batch(base, gated, prompted, mapped) -> None:
    ids = hair_above(2, rows=(16, 48))
    model, positive, _, _ = gated(base, POSITIVE, mapped(ids), region_prompts=prompted())
    both = tiny.velocity(model, noise().repeat(2, 1, 1, 1), 0.6, positive)
    assert not torch.allclose(both[0], both[1], atol=1e-3)
    for i in range(2):
        single, alone, _, _ = gated(base, POSITIVE, mapped(ids[i : i + 1]), region_prompts=prompted())
        torch.testing.assert_close(both[i], tiny.velocity(single, noise(), 0.6, alone)[0], atol=1e-5, rtol=0)


def test_the_negative_ignores_it(base, gated, prompted, mapped) -> None:
    masks = mapped(hair_above())
    model, positive, negative, _ = gated(base, POSITIVE, masks, negative=NEGATIVE, region_prompts=prompted())
    silent, _, _, _ = gated(base, POSITIVE, masks)
    one = tiny.velocity(model, noise(), 0.6, positive)
    two = tiny.velocity(silent, noise(), 0.6, negative)
    guided = (noise() - tiny.trajectory(model, noise(), [0.6, 0.0], positive, negative, cfg=3.0)[-1]) / 0.6
    torch.testing.assert_close(guided, two + 3 * (one - two), atol=2e-5, rtol=0)


@pytest.mark.parametrize("own_size", [False, True], ids=["encoded for the picture", "encoded for the area"])
def test_prompts_side_by_side_by_areas(own_size: bool, base, gated, prompted, mapped, comfy) -> None:
    """Two halves with hair of different heights and texts of different lengths. Each is the same as alone."""
    area, combine = comfy.node("ConditioningSetArea"), comfy.node("ConditioningCombine")
    both_ids = torch.cat((hair_above(rows=(16,)), hair_above(rows=(48,))), dim=2)
    cells, sides, crops = WIDTH // 8, [], both_ids.split(WIDTH, dim=2)
    prompts = (prompted(seed=7, tokens=5), prompted(seed=8, tokens=3))
    for number, (crop, prompt) in enumerate(zip(crops, prompts, strict=True)):
        masks = mapped(crop if own_size else both_ids)
        model, positive, _, _ = gated(base, POSITIVE, masks, region_prompts=prompt)
        sides.append(area(conditioning=positive, width=WIDTH, height=HEIGHT, x=number * WIDTH, y=0, strength=1.0)[0])
    (together,) = combine(conditioning_1=sides[0], conditioning_2=sides[1])
    result = tiny.velocity(model, noise(width=2 * WIDTH), 0.6, together)
    for number, (crop, prompt) in enumerate(zip(crops, prompts, strict=True)):
        span = slice(number * cells, (number + 1) * cells)
        whole = mapped(both_ids)
        masks = mapped(crop) if own_size else type(whole)(whole.latents[..., span], crop)
        alone, positive, _, _ = gated(base, POSITIVE, masks, region_prompts=prompt)
        expected = tiny.velocity(alone, noise(width=2 * WIDTH)[..., span], 0.6, positive)
        torch.testing.assert_close(result[..., span], expected, atol=1e-5, rtol=0, msg=f"side {number}")


def test_text_that_another_extension_puts_first(base, gated, prompted, mapped) -> None:
    """The region texts stay last in the text. Style tokens before them only shift them."""
    style, words = tiny.conditioning(5, tokens=3)[0][0], POSITIVE[0][0]
    longer = [[torch.cat((style, words), 1), POSITIVE[0][1]]]
    model, positive, _, _ = gated(base, longer, mapped(hair_above()), region_prompts=prompted())
    expected = tiny.velocity(model, noise(), 0.6, positive)

    def prepend(given: dict[str, Any]) -> dict[str, Any]:
        text = base.model.diffusion_model.txt_in(style)
        ids = torch.cat((torch.zeros_like(given["txt_ids"][:, :3]), given["txt_ids"]), 1)
        return {**given, "txt": torch.cat((text, given["txt"]), 1), "txt_ids": ids}

    model, positive, _, _ = gated(base, POSITIVE, mapped(hair_above()), region_prompts=prompted())
    model = model.clone()
    model.set_model_patch(prepend, "post_input")
    torch.testing.assert_close(tiny.velocity(model, noise(), 0.6, positive), expected, atol=1e-5, rtol=0)


def test_torch_compile(base, gated, prompted, mapped, compiling) -> None:
    """A compiled model applies the text where it is present, and does not remember it."""
    masks = mapped(hair_above())
    model, positive, _, _ = gated(base, POSITIVE, masks)
    _, prompted_positive, _, _ = gated(base, POSITIVE, masks, region_prompts=prompted())
    expected = run(model, positive), run(model, prompted_positive)
    compiling(model)
    for _ in range(2):
        torch.testing.assert_close(run(model, positive), expected[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(run(model, prompted_positive), expected[1], atol=1e-5, rtol=0)


# --- What cannot be.


def test_impossible_inputs_are_error_messages(base, gated, prompted, mapped, comfy) -> None:
    masks, node = mapped(hair_above()), comfy.node("MoGLERegionPrompt")
    with pytest.raises(ValueError, match="for 'hair' was given 2 texts.*without Conditioning Combine"):
        node(region="hair", conditioning=[*POSITIVE, *NEGATIVE])
    wide = [[torch.zeros(1, 2, 99), {}]]
    (prompts,) = node(region="hair", conditioning=wide)
    with pytest.raises(ValueError, match="text of width 99, the prompt of Gated Condition 32: encode both"):
        gated(base, POSITIVE, masks, region_prompts=prompts)
    with pytest.raises(ValueError, match="connect MoGLE Encode's output to Gated Condition"):
        gated(base, POSITIVE, type(masks)(masks.latents), region_prompts=prompted())
