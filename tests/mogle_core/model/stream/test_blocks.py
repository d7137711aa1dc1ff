"""FLUX's blocks with the mask stream, against their equations written out plainly, stream by stream."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from support.small_weights import TINY
from support.written_out import (
    BATCH,
    COLUMNS,
    DEPTH,
    DOUBLE,
    HIDDEN,
    IMAGE,
    MASK,
    OPTIONS,
    ROWS,
    SINGLE,
    TEXT,
    WEIGHTS,
    Scene,
    Stream,
    close,
    flux,
    random_lora,
    run_all,
    run_double,
    run_single,
    written_out_double,
    written_out_single,
)
from torch import Tensor, nn
from torch.nn import functional as F

from mogle_core.model.flux.attention import attend
from mogle_core.model.flux.model import Flux
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.blocks import double_block, single_block
from mogle_core.model.stream.lora import LowRank
from mogle_core.model.stream.mask_tokens import embed_tokens, mask_modulations, mask_positions
from mogle_core.model.stream.shared_layers import linear

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def model() -> Flux:
    return flux()


def test_blocks_without_a_mask_are_flux(model: Flux) -> None:
    scene = Scene()
    txt, img = written_out_double(scene, with_mask=False)
    ours = run_double(model, scene, None)
    close(ours[0], img)
    close(ours[1], txt)
    close(run_single(model, scene, None), torch.cat(written_out_single(scene, with_mask=False), 1))


@pytest.mark.parametrize("autograd", [False, True], ids=["in place", "autograd"])
@pytest.mark.parametrize("separate", [False, True], ids=["joint", "two calls"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_blocks_with_a_mask_are_three_streams(
    options: StreamOptions, separate: bool, autograd: bool, model: Flux
) -> None:
    scene = Scene(options=options)
    with torch.set_grad_enabled(autograd):
        mask = scene.stream(model, separate_calls=separate)
        img, txt = run_double(model, scene, mask)
        for ours, reference in zip((txt, img, mask.tokens), written_out_double(scene), strict=True):
            close(ours, reference)
        mask = scene.stream(model, separate_calls=separate)
        x = run_single(model, scene, mask)
        reference = written_out_single(scene)
        close(x, torch.cat(reference[:2], 1))
        close(mask.tokens, reference[2])


def test_a_mask_like_the_image_is_more_image(model: Flux) -> None:
    """Without LoRA and with the image's modulation, mask tokens are image tokens at the same positions."""
    scene = replace(Scene(), lora={})
    scene.own = scene.vec
    mask = scene.stream(model)
    image = torch.cat((scene.img, scene.tokens), 1)
    ids = mask_positions(ROWS, COLUMNS)
    rotary = model.rotary(torch.cat((torch.zeros(1, TEXT, 3), ids, ids), 1))

    block = model.get_submodule(DOUBLE)
    joined, text = double_block(block, DOUBLE, image, scene.txt, scene.vec, rotary, attend)
    img, txt = run_double(model, scene, mask)
    close(torch.cat((img, mask.tokens), 1), joined)
    close(txt, text)

    mask = scene.stream(model)
    x = torch.cat((scene.txt, image), 1)
    joined = single_block(model.get_submodule(SINGLE), SINGLE, x, scene.vec, rotary, attend)
    close(torch.cat((run_single(model, scene, mask), mask.tokens), 1), joined)


@pytest.mark.parametrize("separate", [False, True], ids=["joint", "two calls"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_last_block_skips_only_unused_work(options: StreamOptions, separate: bool, model: Flux) -> None:
    scene = Scene(options=options)
    whole, last = (scene.stream(model, separate_calls=separate) for _ in range(2))
    close(run_single(model, scene, last, last=True), run_single(model, scene, whole))
    assert last.blocks == whole.blocks == 1
    assert torch.equal(last.tokens, scene.tokens)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_whole_pass_is_one_result_by_every_path(options: StreamOptions, model: Flux) -> None:
    scene = Scene(options=options)
    mask = scene.stream(model)
    plain = run_all(model, scene, mask)
    assert mask.blocks == DEPTH + TINY.single
    close(run_all(model, scene, scene.stream(model, separate_calls=True)), plain)
    with torch.enable_grad():
        close(run_all(model, scene, scene.stream(model)), plain)
    # And it does depend on the mask, unless the mask is kept apart.
    without = run_all(model, scene, None)
    assert torch.allclose(plain, without, atol=1e-4) == (not options.union_attention)


def test_gradients_reach_tokens_lora_and_image(model: Flux) -> None:
    scene = Scene()
    with torch.enable_grad():
        scene.tokens.requires_grad_()
        scene.img.requires_grad_()
        scene.lora = {
            name: LowRank(*(tensor.clone().requires_grad_() for tensor in update))
            for name, update in scene.lora.items()
        }
        run_all(model, scene, scene.stream(model)).square().mean().backward()
    assert scene.tokens.grad.any()
    assert scene.img.grad.any()
    # `img_in` is applied before the stream is made; the last block's output has no mask token.
    unused = {"img_in", f"single_blocks.{TINY.single - 1}.linear2"}
    assert {name for name, update in scene.lora.items() if update.down.grad is None} == unused
    assert all(update.up.grad.any() for name, update in scene.lora.items() if name not in unused)


# --- What is kept between blocks.


def test_the_hosts_view_is_joined_without_a_copy(model: Flux) -> None:
    scene = Scene()
    mask = scene.stream(model)
    img, _ = run_double(model, scene, mask)
    joint = mask.join(img)
    assert joint.data_ptr() == img.data_ptr()
    assert joint.shape == (BATCH, IMAGE + MASK, HIDDEN)
    img += 1  # in place, as a ControlNet adds its residual
    assert torch.equal(mask.join(img)[:, :IMAGE], img)
    assert torch.equal(mask.join(img)[:, IMAGE:], mask.tokens)


def test_tensors_that_the_host_replaced_are_joined_again(model: Flux) -> None:
    scene = Scene()
    mask = scene.stream(model)
    img, txt = run_double(model, scene, mask)
    replaced, tokens = img + 1, mask.tokens.clone()
    for others in (replaced, torch.cat((txt, img), 1)):
        joint = mask.join(others)
        assert joint.data_ptr() not in (others.data_ptr(), img.data_ptr())
        assert torch.equal(joint, torch.cat((others, tokens), 1))


def test_a_block_that_the_host_skipped_is_not_counted(model: Flux) -> None:
    scene = Scene()
    mask = scene.stream(model)
    assert mask.blocks == 0
    run_double(model, scene, mask)
    run_single(model, scene, mask)
    assert mask.blocks == 2


@pytest.mark.parametrize("autograd", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_inputs_are_left_as_they_were(options: StreamOptions, autograd: bool, model: Flux) -> None:
    scene, fresh = Scene(options=options), Scene(options=options)
    mask = scene.stream(model)
    modulations, rotary = {name: m.clone() for name, m in mask.given.modulations.items()}, scene.rotary(model)
    x, host_rotary = torch.cat((scene.txt, scene.img), 1), rotary.clone()
    with torch.set_grad_enabled(autograd):
        block = model.get_submodule(DOUBLE)
        img, txt = double_block(block, DOUBLE, scene.img, scene.txt, scene.vec, host_rotary, attend, mask=mask)
        kept, text = img.clone(), txt.clone()
        double_block(block, DOUBLE, img, txt, scene.vec, host_rotary, attend, mask=mask)
        single_block(model.get_submodule(SINGLE), SINGLE, x, scene.vec, host_rotary, attend, mask=mask)
    for name in ("img", "txt", "tokens", "vec"):
        assert torch.equal(getattr(scene, name), getattr(fresh, name))
    assert torch.equal(x, torch.cat((fresh.txt, fresh.img), 1))
    assert torch.equal(host_rotary, rotary)
    assert torch.equal(img, kept)  # a view into our own buffer, and not written over either
    assert torch.equal(txt, text)
    assert all(torch.equal(modulation, modulations[name]) for name, modulation in mask.given.modulations.items())
    assert all(torch.equal(tensor, WEIGHTS[name]) for name, tensor in model.state_dict().items())


def test_rotary_and_masks_are_extended_once(model: Flux) -> None:
    scene = Scene(options=StreamOptions(strength=2))
    mask, rotary = scene.stream(model), scene.rotary(model)
    extended = mask.extend_rotary(rotary)
    assert mask.extend_rotary(rotary) is extended
    assert torch.equal(extended[:, :, -MASK:], extended[:, :, TEXT : TEXT + IMAGE])  # the image's own positions
    other = mask.extend_rotary(rotary.expand(BATCH, *rotary.shape[1:]).double())
    assert other.shape[0] == BATCH
    assert other.dtype == torch.float64
    assert mask.extend_rotary(None) is None

    like, given = scene.img, torch.zeros(IMAGE, IMAGE)
    first = mask.extend_mask(DOUBLE, None, like, IMAGE)
    assert mask.extend_mask(DOUBLE, None, like, IMAGE) is first
    assert mask.extend_mask(DOUBLE, given, like, IMAGE) is not first
    assert mask.extend_mask(DOUBLE, None, like, IMAGE + TEXT).dense(like).shape == (IMAGE + TEXT + MASK,) * 2


def test_each_kind_of_block_has_its_strength(model: Flux) -> None:
    """The product of the two, and a mask for each kind; at 1 the one mask of both, or none."""
    like = Scene().img
    mask = Scene(options=StreamOptions(strength=0.5, single_strength=0.5)).stream(model)
    kinds = [mask.extend_mask(name, None, like, IMAGE).dense(like)[0, -1] for name in (DOUBLE, SINGLE)]
    assert [round(math.exp(level), 5) for level in kinds] == [0.5, 0.25]
    mask = Scene(options=StreamOptions(double_strength=2.0)).stream(model)
    assert mask.extend_mask(DOUBLE, None, like, IMAGE) is not None
    assert mask.extend_mask(SINGLE, None, like, IMAGE) is None


# --- Single pieces.


class Clamping(nn.Linear):
    """Like ComfyUI's legacy fp8 product: it clamps its input to the range of fp8, in place."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clamp_(-0.01, 0.01))


def test_a_linear_that_spoils_its_input_does_not_reach_the_lora(model: Flux) -> None:
    torch.manual_seed(0)
    scene, layer, others = Scene(), "double_blocks.0.img_attn.proj", IMAGE
    x = torch.randn(BATCH, IMAGE + MASK, HIDDEN)
    whole, given = x.clone(), x.clone()
    module = Clamping(HIDDEN, HIDDEN)
    out = linear(module, given, others, scene.stream(model), layer)
    assert not torch.equal(given, whole)
    expected = F.linear(whole.clamp(-0.01, 0.01), module.weight, module.bias)
    expected[:, others:] += scene.lora[layer](whole[:, others:])
    close(out, expected)


def test_blocks_run_in_bfloat16(model: Flux) -> None:
    exact = run_all(model, Scene(), Scene().stream(model))
    half = flux(torch.bfloat16)
    scene = Scene(lora={name: LowRank(*(t.bfloat16() for t in update)) for name, update in random_lora().items()})
    for name in ("img", "txt", "tokens", "vec", "own"):
        setattr(scene, name, getattr(scene, name).bfloat16())
    result = run_all(half, scene, scene.stream(half))
    assert result.dtype == torch.bfloat16
    assert (result.float() - exact).norm() < 0.05 * exact.norm()


def test_positions_are_the_images_row_and_column() -> None:
    ids = mask_positions(ROWS, COLUMNS)
    assert ids.shape == (1, MASK, 3)
    assert ids[0].tolist() == [[0, row, column] for row in range(ROWS) for column in range(COLUMNS)]


def test_tokens_and_modulations_pass_the_images_weights_and_the_lora(model: Flux) -> None:
    scene, tokens = Scene(), torch.randn(BATCH, MASK, 64)
    weight = WEIGHTS["img_in.weight"] + scene.lora["img_in"].up @ scene.lora["img_in"].down
    close(embed_tokens(model, tokens, scene.lora), tokens @ weight.T + WEIGHTS["img_in.bias"])
    close(embed_tokens(model, tokens), model.img_in(tokens))
    modulations = mask_modulations(model, scene.own, scene.lora)
    assert len(modulations) == TINY.double + TINY.single
    for name, modulation in modulations.items():
        stream = Stream(tokens, "img", scene.own, tokens, scene.lora)
        close(modulation, stream.linear(name, F.silu(scene.own))[:, None])
        close(mask_modulations(model, scene.own)[name], model.get_submodule(name)(F.silu(scene.own))[:, None])
