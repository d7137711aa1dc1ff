"""FLUX's blocks with the mask stream, against a plain writing-out of their equations, stream by stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
import torch
from small_weights import TINY, flux_weights
from torch import Tensor, nn
from torch.nn import functional as F

from mogle_core.attention import StreamOptions, attention_mask
from mogle_core.flux import Flux, attend
from mogle_core.flux_files import load, read_params
from mogle_core.lora import LowRank
from mogle_core.stream import (
    MaskStream,
    double_block,
    embed_tokens,
    finite,
    linear,
    mask_modulations,
    mask_positions,
    single_block,
)

BATCH, TEXT, ROWS, COLUMNS = 2, 3, 2, 3
IMAGE = MASK = ROWS * COLUMNS
WEIGHTS = flux_weights(TINY)
HIDDEN, HEADS, DEPTH = TINY.hidden, TINY.heads, TINY.double
DOUBLE, SINGLE = "double_blocks.1", "single_blocks.0"
OPTIONS = {
    "plain": StreamOptions(),
    "separate": StreamOptions(union_attention=False),
    "independent": StreamOptions(independent_condition=True),
    "added": StreamOptions(add_condition_attention=True),
    "latent lora": StreamOptions(latent_lora=True),
    "weak": StreamOptions(strength=0.3),
    "strong and independent": StreamOptions(strength=1.7, independent_condition=True),
}


@pytest.fixture(scope="module")
def model() -> Flux:
    shapes = {name: tuple(tensor.shape) for name, tensor in WEIGHTS.items()}
    return load(WEIGHTS.items(), read_params(shapes, TINY.axes))


@pytest.fixture(autouse=True)
def inference() -> object:
    with torch.no_grad():
        yield


def random_lora() -> dict[str, LowRank]:
    """On every layer that mask tokens pass; on `qkv` for the rows of q and k only."""
    generator = torch.Generator().manual_seed(5)
    lora = {}
    for name, weight in WEIGHTS.items():
        layer = name.removesuffix(".weight")
        if weight.ndim == 2 and layer.startswith(("img_in", "double_blocks", "single_blocks")) and "txt" not in layer:
            rows = 2 * HIDDEN if layer.endswith("qkv") else weight.shape[0]
            down = torch.randn(3, weight.shape[1], generator=generator) / math.sqrt(weight.shape[1])
            lora[layer] = LowRank(down, torch.randn(rows, 3, generator=generator))
    return lora


@dataclass
class Scene:
    """One forward pass's inputs; the mask's vector, `own`, differs from the image's."""

    img: Tensor = field(default_factory=lambda: noise(1, IMAGE))
    txt: Tensor = field(default_factory=lambda: noise(2, TEXT))
    tokens: Tensor = field(default_factory=lambda: noise(3, MASK))
    vec: Tensor = field(default_factory=lambda: noise(4, 1)[:, 0])
    own: Tensor = field(default_factory=lambda: noise(5, 1)[:, 0])
    lora: Mapping[str, LowRank] = field(default_factory=random_lora)
    options: StreamOptions = field(default_factory=StreamOptions)

    def rotary(self, model: Flux) -> Tensor:
        image = mask_positions(ROWS, COLUMNS)
        return model.rotary(torch.cat((torch.zeros(1, TEXT, 3), image), dim=1))

    def stream(self, model: Flux, **changes: object) -> MaskStream:
        rotary = model.rotary(mask_positions(ROWS, COLUMNS))
        modulations = mask_modulations(model, self.own, self.lora)
        return MaskStream(self.tokens.clone(), modulations, rotary, self.lora, self.options, **changes)


def noise(seed: int, tokens: int) -> Tensor:
    return torch.randn(BATCH, tokens, HIDDEN, generator=torch.Generator().manual_seed(seed))


# --- The equations, one stream after the other, in no hurry.


@dataclass
class Stream:
    x: Tensor
    side: str
    vec: Tensor
    angles: Tensor
    lora: Mapping[str, LowRank]

    def linear(self, layer: str, x: Tensor) -> Tensor:
        weight = WEIGHTS[f"{layer}.weight"].clone()
        if layer in self.lora:
            change = self.lora[layer].up @ self.lora[layer].down
            weight[: change.shape[0]] += change
        return x @ weight.T + WEIGHTS[f"{layer}.bias"]

    def modulation(self, layer: str, count: int) -> tuple[Tensor, ...]:
        return self.linear(layer, self.vec * self.vec.sigmoid())[:, None].chunk(count, -1)

    def heads(self, qkv: Tensor, norm: str) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
        return self.turned(rms(q, f"{norm}.query_norm")), self.turned(rms(k, f"{norm}.key_norm")), v

    def turned(self, x: Tensor) -> Tensor:
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(self.angles), self.angles)).flatten(-2)


def rms(x: Tensor, layer: str) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * WEIGHTS[f"{layer}.scale"]


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()


def gelu(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def angles(ids: Tensor) -> Tensor:
    """Position ids (S, 3) -> (S, D/2)."""
    return torch.cat(
        [ids[:, i, None] * 10_000.0 ** -(torch.arange(0, dim, 2) / dim) for i, dim in enumerate(TINY.axes)], -1
    )


def streams(scene: Scene, with_mask: bool) -> list[Stream]:
    image = torch.tensor([[0.0, row, column] for row in range(ROWS) for column in range(COLUMNS)])
    latent = scene.lora if scene.options.latent_lora else {}
    found = [
        Stream(scene.txt, "txt", scene.vec, angles(torch.zeros(TEXT, 3)), {}),
        Stream(scene.img, "img", scene.vec, angles(image), latent),
        Stream(scene.tokens, "img", scene.own, angles(image), scene.lora),
    ]
    return found if with_mask else found[:2]


def attention(qkv: list[tuple[Tensor, Tensor, Tensor]], options: StreamOptions) -> list[Tensor]:
    q, k, v = (torch.cat(part, 2) for part in zip(*qkv, strict=True))
    logits = q @ k.mT / math.sqrt(q.shape[-1])
    for query, key in ((False, True), (True, False)):  # which of both is a mask token
        of_query = slice(TEXT + IMAGE, None) if query else slice(0, TEXT + IMAGE)
        of_key = slice(TEXT + IMAGE, None) if key else slice(0, TEXT + IMAGE)
        logits[..., of_query, of_key] += math.log(options.strength)
        if not options.union_attention or (options.independent_condition and query):
            logits[..., of_query, of_key] = -math.inf
    out = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return list(out.split([part[0].shape[2] for part in qkv], 1))


def written_out_double(scene: Scene, with_mask: bool = True) -> list[Tensor]:
    """Text, image and mask tokens after one double block."""
    parts = streams(scene, with_mask)
    mods = [s.modulation(f"{DOUBLE}.{s.side}_mod.lin", 6) for s in parts]
    qkv = []
    for s, m in zip(parts, mods, strict=True):
        projected = s.linear(f"{DOUBLE}.{s.side}_attn.qkv", normed(s.x) * (1 + m[1]) + m[0])
        qkv.append(s.heads(projected, f"{DOUBLE}.{s.side}_attn.norm"))
    seen = attention(qkv, scene.options)
    updates = [s.linear(f"{DOUBLE}.{s.side}_attn.proj", a) * m[2] for s, m, a in zip(parts, mods, seen, strict=True)]
    if scene.options.add_condition_attention and with_mask:
        updates[1] = updates[1] + updates[2]
    results = []
    for s, m, update in zip(parts, mods, updates, strict=True):
        x = s.x + update
        hidden = gelu(s.linear(f"{DOUBLE}.{s.side}_mlp.0", normed(x) * (1 + m[4]) + m[3]))
        results.append(x + s.linear(f"{DOUBLE}.{s.side}_mlp.2", hidden) * m[5])
    return results


def written_out_single(scene: Scene, with_mask: bool = True) -> list[Tensor]:
    """Text, image and mask tokens after one single block."""
    parts = streams(scene, with_mask)
    parts[0].lora = parts[1].lora  # a single block cannot tell text from image
    mods = [s.modulation(f"{SINGLE}.modulation.lin", 3) for s in parts]
    fused = [s.linear(f"{SINGLE}.linear1", normed(s.x) * (1 + m[1]) + m[0]) for s, m in zip(parts, mods, strict=True)]
    qkv = [s.heads(f[..., : 3 * HIDDEN], f"{SINGLE}.norm") for s, f in zip(parts, fused, strict=True)]
    results = []
    for s, m, f, a in zip(parts, mods, fused, attention(qkv, scene.options), strict=True):
        joined = torch.cat((a, gelu(f[..., 3 * HIDDEN :])), -1)
        results.append(s.x + s.linear(f"{SINGLE}.linear2", joined) * m[2])
    return results


def close(ours: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


# --- Ours.


def run_double(
    model: Flux, scene: Scene, mask: MaskStream | None, attention: Callable[..., Tensor] = attend, **given: Tensor
) -> tuple[Tensor, Tensor]:
    block = model.get_submodule(DOUBLE)
    return double_block(
        block, DOUBLE, scene.img, scene.txt, scene.vec, scene.rotary(model), attention, mask=mask, **given
    )


def run_single(
    model: Flux, scene: Scene, mask: MaskStream | None, attention: Callable[..., Tensor] = attend, **given: object
) -> Tensor:
    x = torch.cat((scene.txt, scene.img), 1)
    block = model.get_submodule(SINGLE)
    return single_block(block, SINGLE, x, scene.vec, scene.rotary(model), attention, mask=mask, **given)


def run_all(model: Flux, scene: Scene, mask: MaskStream | None) -> Tensor:
    """Every block, as a host calls them."""
    img, txt, rotary = scene.img, scene.txt, scene.rotary(model)
    for i, block in enumerate(model.double_blocks):
        img, txt = double_block(block, f"double_blocks.{i}", img, txt, scene.vec, rotary, attend, mask=mask)
    x = torch.cat((txt, img), 1)
    for i, block in enumerate(model.single_blocks):
        x = single_block(block, f"single_blocks.{i}", x, scene.vec, rotary, attend, mask=mask, last=block.last)
    return x


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
    """Without LoRA and with the image's own vector, mask tokens are image tokens at the same positions."""
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
def test_last_block_leaves_out_only_dead_work(options: StreamOptions, separate: bool, model: Flux) -> None:
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


# --- Attention between the streams.


def test_no_mask_is_built_where_everyone_sees_everyone(model: Flux) -> None:
    seen = []

    def spy(q: Tensor, k: Tensor, v: Tensor, rotary: Tensor | None, mask: Tensor | None) -> Tensor:
        seen.append(mask)
        return attend(q, k, v, rotary, mask)

    scene = Scene()
    mask = scene.stream(model)
    run_double(model, scene, mask, spy)
    run_single(model, scene, mask, spy, last=True)
    assert seen == [None, None]
    options = StreamOptions(add_condition_attention=True, latent_lora=True)
    assert attention_mask(None, 4, 2, options, torch.ones(1)) is None


@pytest.mark.parametrize("strength", [0.25, 2.0, 0.0])
def test_strength_is_its_logarithm_between_the_streams(strength: float) -> None:
    mask = attention_mask(None, 3, 2, StreamOptions(strength=strength), torch.ones(1, dtype=torch.float64))
    crossing = math.log(strength) if strength else -math.inf
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[:3, 3:] = expected[3:, :3] = crossing
    assert torch.equal(mask, expected)
    # In a softmax over equal logits: a mask token weighs `strength` times another.
    weights = mask[0].softmax(-1)
    assert (weights[3] / weights[0]).item() == pytest.approx(strength)


def test_options_close_one_way_or_both() -> None:
    like, inf = torch.ones(1), -math.inf
    apart = attention_mask(None, 1, 1, StreamOptions(union_attention=False), like)
    assert apart.tolist() == [[0, inf], [inf, 0]]
    assert attention_mask(None, 1, 1, StreamOptions(union_attention=False, strength=2), like).tolist() == apart.tolist()
    assert attention_mask(None, 1, 1, StreamOptions(independent_condition=True), like).tolist() == [[0, 0], [inf, 0]]


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4), (BATCH, 1, 4, 4), (BATCH, 1, 1, 4)])
def test_a_given_mask_is_extended(shape: tuple[int, ...]) -> None:
    seen = torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.3
    additive = torch.zeros(shape).masked_fill(~seen, -math.inf)
    like = torch.ones(1)
    extended = attention_mask(seen, 4, 2, StreamOptions(), like)
    assert extended.shape == (*shape[:-2], 6, 6)
    assert torch.equal(extended[..., :4, :4], additive.expand(*shape[:-2], 4, 4))
    assert not extended[..., 4:, :].any()
    assert not extended[..., :, 4:].any()
    assert torch.equal(attention_mask(additive, 4, 2, StreamOptions(), like), extended)
    biased = attention_mask(additive + 0.5, 4, 2, StreamOptions(strength=2), like)
    assert torch.equal(biased[..., :4, :4], (additive + 0.5).expand(*shape[:-2], 4, 4))
    assert torch.equal(biased[..., 4:, :4], torch.full_like(biased[..., 4:, :4], math.log(2)))


@pytest.mark.parametrize("last", [False, True])
def test_a_given_mask_holds_with_the_stream(last: bool, model: Flux) -> None:
    """Tokens that the host hides stay hidden: the first text token changes nothing in the others."""
    given = torch.zeros(TEXT + IMAGE, TEXT + IMAGE)
    given[1:, 0] = -math.inf
    scene, other = Scene(), Scene()
    other.txt[:, 0] += 1
    # A mask token would pass on what it sees of the hidden one; within one block there is no time for that.
    ours, theirs = (run_single(model, s, s.stream(model), attn_mask=given, last=last) for s in (scene, other))
    assert torch.equal(ours[:, 1:], theirs[:, 1:])
    assert not torch.allclose(ours, run_single(model, scene, scene.stream(model), last=last), atol=1e-4)


def test_apart_the_mask_changes_nothing(model: Flux) -> None:
    scene = Scene(options=StreamOptions(union_attention=False))
    other = replace(scene, tokens=-scene.tokens)
    masks = scene.stream(model), other.stream(model)
    assert torch.equal(run_all(model, scene, masks[0]), run_all(model, other, masks[1]))
    close(run_all(model, scene, scene.stream(model)), run_all(model, scene, None))


@pytest.mark.parametrize("option", ["independent_condition", "union_attention"])
def test_an_independent_mask_is_blind_to_the_image(option: str, model: Flux) -> None:
    scene = Scene(options=StreamOptions(**{option: option == "independent_condition"}))
    other = replace(scene, img=-scene.img, txt=-scene.txt)
    masks = scene.stream(model), other.stream(model)
    results = [run_double(model, s, mask)[0] for s, mask in zip((scene, other), masks, strict=True)]
    assert torch.equal(masks[0].tokens, masks[1].tokens)
    assert not torch.allclose(*results)


def test_batch_items_are_apart(model: Flux) -> None:
    together = run_all(model, Scene(), Scene().stream(model))
    for i in range(BATCH):
        one = Scene()
        for name in ("img", "txt", "tokens", "vec", "own"):
            setattr(one, name, getattr(one, name)[i : i + 1])
        close(run_all(model, one, one.stream(model)), together[i : i + 1])


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


def test_what_the_host_replaced_is_joined_anew(model: Flux) -> None:
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
    modulations, rotary = {name: m.clone() for name, m in mask.modulations.items()}, scene.rotary(model)
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
    assert all(torch.equal(modulation, modulations[name]) for name, modulation in mask.modulations.items())
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
    first = mask.extend_mask(None, like, IMAGE)
    assert mask.extend_mask(None, like, IMAGE) is first
    assert mask.extend_mask(given, like, IMAGE) is not first
    assert mask.extend_mask(None, like, IMAGE + TEXT).shape == (IMAGE + TEXT + MASK,) * 2


# --- Single pieces.


class Clamping(nn.Linear):
    """ComfyUI's legacy fp8 product: brings its input into fp8's range, in place."""

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


def test_float16_is_kept_finite() -> None:
    x = torch.tensor([1.0, math.inf, -math.inf, math.nan], dtype=torch.float16)
    assert finite(x).tolist() == [1.0, 65504.0, -65504.0, 0.0]
    for dtype in (torch.bfloat16, torch.float32):
        wide = torch.tensor([math.inf], dtype=dtype)
        assert finite(wide) is wide


def test_blocks_run_in_bfloat16(model: Flux) -> None:
    exact = run_all(model, Scene(), Scene().stream(model))
    shapes = {name: tuple(tensor.shape) for name, tensor in WEIGHTS.items()}
    half = load(WEIGHTS.items(), read_params(shapes, TINY.axes), torch.bfloat16)
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
