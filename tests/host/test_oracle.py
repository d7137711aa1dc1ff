"""Core's reference-latent path as the oracle. Without LoRA, with the image's modulation vector and the reference's
positions, the mask stream must give the same image to the bit, whatever else is in the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.ldm.flux.layers as layers
import pytest
import torch
from comfy.ldm.flux.model import Flux
from support import tiny
from support.small_weights import TINY, lora_weights
from torch import Tensor

ROWS, COLUMNS, TIME = 6, 4, 0.7
TEXT_TOKENS = 8  # of tiny.conditioning
FUSED: Any = getattr(layers, "modulated_norm", None)


@pytest.fixture(autouse=True)
def unfused(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 0.34 on the host's blocks norm and modulate by one kernel, whose rounding is its own (on a CPU, by a product
    and a sum instead of `addcmul`). Its reference for that, which it takes in training, is what ours equals to the bit.
    """
    if not hasattr(layers, "modulated_norm"):
        return

    def reference(x: Tensor, norm: Any, scale: Tensor, shift: Tensor, modulation_dims: Any = None) -> Tensor:
        return layers.apply_mod(norm(x), 1 + scale, shift, modulation_dims)

    monkeypatch.setattr(layers, "modulated_norm", reference)


def noise(seed: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 16, 2 * ROWS, 2 * COLUMNS, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def as_mask(comfy, monkeypatch) -> Callable[[Any, list, Tensor], tuple[Any, list]]:
    """as_mask(model, positive, reference) patches both so that the mask stream carries the reference's tokens."""
    sampling, encode = comfy.module("nodes.host.sampling"), comfy.module("mogle_core.model.mixture.mask_latents")
    network = comfy.module("mogle_core.model.mixture.network")
    recipe = comfy.module("mogle_core.model.checkpoints.recipe").Recipe()
    host = comfy.module("nodes.host")
    versions = comfy.module("nodes.host.versions")

    def positions(transformer: Flux, x: Tensor, options: Any) -> Tensor:
        return transformer.process_img(x, index=1)[1]

    monkeypatch.setattr(sampling, "image_positions", positions)
    modulation = comfy.module("mogle_core.model.stream.modulation")
    monkeypatch.setattr(modulation, "mask_time", lambda batch, like: like.new_full((batch,), TIME))

    def patch(model: Any, positive: list, reference: Tensor) -> tuple[Any, list]:
        passing = network.MoGLE(network.MoGLEConfig(has_experts=False, gate="none"))  # a plain sum of masks
        mogle = host.LoadedMoGLE(versions.patcher(passing, None), None, recipe, "sampling", "")
        masks = torch.zeros(len(reference), 20, *reference.shape[1:])
        masks[:, 0] = model.model.process_latent_in(reference)
        model, positive, _, _ = comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=encode.MaskLatents(masks)
        )
        return model, positive

    return patch


def as_reference(positive: list, *references: Tensor) -> list:
    return [[text, {**entry, "reference_latents": list(references)}] for text, entry in positive]


def one_step(model: Any, positive: list, batch: int = 1) -> Tensor:
    return tiny.trajectory(model, noise(0, batch), [TIME, 0.0], positive)[-1]


def plain(model: Any) -> Any:
    return model


def ordinary_lora(model: Any) -> Any:
    return tiny.with_lora(model, lora_weights(TINY, seed=3, rank=2), 0.8)


def shifting_replacement(model: Any) -> Any:
    """Another extension's block replacement that changes the image tokens and then calls the original block."""
    patched = model.clone()

    def shifted(img: Tensor, text: int, factor: float) -> Tensor:
        changed = img.clone()
        changed[:, text : text + ROWS * COLUMNS] *= factor
        return changed

    def replacement(args: dict, extra: dict) -> dict:
        text = 0 if "txt" in args else TEXT_TOKENS
        out = extra["original_block"]({**args, "img": shifted(args["img"], text, 1.1)})
        return {**out, "img": shifted(out["img"], text, 0.9)}

    for kind, number in (("double_block", 1), ("single_block", 0)):
        patched.set_model_patch_replace(replacement, "dit", kind, number)
    return patched


def skipping_replacement(model: Any) -> Any:
    """Skips a block, as skip-layer guidance does."""
    patched = model.clone()
    patched.set_model_patch_replace(lambda args, extra: {"img": args["img"]}, "dit", "single_block", 1)
    return patched


def output_patch(model: Any) -> Any:
    patched = model.clone()
    patched.set_model_attn1_output_patch(lambda attention, options: attention * 1.1)
    return patched


def input_patch(model: Any) -> Any:
    patched = model.clone()
    patched.set_model_patch(lambda q, k, v, pe, attn_mask, extra_options: {"v": v * 0.9}, "attn1_patch")
    return patched


NEIGHBOURS = [plain, ordinary_lora, shifting_replacement, skipping_replacement, output_patch, input_patch]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda neighbour: neighbour.__name__)
def test_equal_to_the_bit_beside(neighbour, when: str, as_mask) -> None:
    positive, reference = tiny.conditioning(1), noise(5)
    expected = one_step(neighbour(tiny.tiny_flux()), as_reference(positive, reference))
    if when == "before":
        model, masked = as_mask(neighbour(tiny.tiny_flux()), positive, reference)
    else:
        model, masked = as_mask(tiny.tiny_flux(), positive, reference)
        model = neighbour(model)
    assert torch.equal(one_step(model, masked), expected)
    assert not torch.equal(expected, one_step(neighbour(tiny.tiny_flux()), positive))


def test_tensors_that_an_extension_keeps_are_not_overwritten(as_mask) -> None:
    """The block writes the attention where v was."""
    kept = []

    def keeping(attention: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, *args: Any, **more: Any) -> Tensor:
        kept.extend((tensor, tensor.clone()) for tensor in (q, k, v))
        return attention(q, k, v, *args, **more)

    positive, reference = tiny.conditioning(1), noise(5)
    model, masked = as_mask(tiny.tiny_flux(), positive, reference)
    model.model_options["transformer_options"]["optimized_attention_override"] = keeping
    one_step(model, masked)
    assert len(kept) > 0 and all(torch.equal(tensor, at_first) for tensor, at_first in kept)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_equal_to_the_bit_in_half_precision(dtype: torch.dtype, as_mask) -> None:
    positive, reference = tiny.conditioning(1), noise(5)
    expected = one_step(tiny.tiny_flux(dtype=dtype), as_reference(positive, reference))
    model, masked = as_mask(tiny.tiny_flux(dtype=dtype), positive, reference)
    assert torch.equal(one_step(model, masked), expected)


def test_equal_to_the_bit_with_fp8_weights(as_mask) -> None:
    positive, reference = tiny.conditioning(1), noise(5)

    def model() -> Any:
        return tiny.tiny_flux(dtype=torch.float8_e4m3fn, compute=torch.bfloat16)

    patched, masked = as_mask(model(), positive, reference)
    assert torch.equal(one_step(patched, masked), one_step(model(), as_reference(positive, reference)))


def test_equal_to_the_bit_beside_a_controlnet(as_mask) -> None:
    positive, reference = tiny.conditioning(1, control=tiny.residuals(ROWS * COLUMNS)), noise(5)
    expected = one_step(tiny.tiny_flux(), as_reference(positive, reference))
    assert torch.equal(one_step(*as_mask(tiny.tiny_flux(), positive, reference)), expected)
    assert not torch.equal(expected, one_step(tiny.tiny_flux(), as_reference(tiny.conditioning(1), reference)))


def test_equal_to_the_bit_beside_a_reference_latent(as_mask, comfy, monkeypatch) -> None:
    """Kontext: the order is [text, image, reference, mask]. Core orders two references in the same way."""
    positive, first, second = tiny.conditioning(1), noise(5), noise(6)
    expected = one_step(tiny.tiny_flux(), as_reference(positive, first, second))
    model, masked = as_mask(tiny.tiny_flux(), as_reference(positive, first), second)

    def positions(transformer: Flux, x: Tensor, options: Any) -> Tensor:
        # Where core's "offset" method puts a second reference of this size: beside the first.
        return transformer.process_img(x, index=1, w_offset=2 * COLUMNS)[1]

    monkeypatch.setattr(comfy.module("nodes.host.sampling"), "image_positions", positions)
    assert torch.equal(one_step(model, masked), expected)


def test_equal_to_the_bit_in_a_batch(as_mask) -> None:
    positive, reference = tiny.conditioning(1), noise(5)
    expected = one_step(tiny.tiny_flux(), as_reference(positive, reference), batch=2)
    assert torch.equal(one_step(*as_mask(tiny.tiny_flux(), positive, reference), batch=2), expected)


@pytest.mark.skipif(FUSED is None, reason="a fused norm, in ComfyUI from 0.34 on")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_fused_norm_is_as_far_from_ours_as_from_the_hosts_own_reference(dtype, as_mask, monkeypatch) -> None:
    """Measured with the kernel for CPUs of comfy-kitchen 0.2.40: 1e-6 in float32, 0.03 in bfloat16."""
    positive, reference = tiny.conditioning(1), noise(5)
    unfused = one_step(tiny.tiny_flux(dtype=dtype), as_reference(positive, reference))
    ours = one_step(*as_mask(tiny.tiny_flux(dtype=dtype), positive, reference))
    assert torch.equal(ours, unfused)
    monkeypatch.setattr(layers, "modulated_norm", FUSED)
    fused = one_step(tiny.tiny_flux(dtype=dtype), as_reference(positive, reference))
    beside_it = one_step(*as_mask(tiny.tiny_flux(dtype=dtype), positive, reference))
    print(f"{dtype}: host {(fused - unfused).abs().max():.1e}, ours {(beside_it - fused).abs().max():.1e}")
    assert (beside_it - fused).abs().max() <= 2 * (fused - unfused).abs().max() + torch.finfo(dtype).eps
