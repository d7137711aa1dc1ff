"""Texts of single regions: their areas, which tokens attend to them, and what they leave unchanged."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from support.golden import read_lora, read_transformer
from support.written_out import BATCH, DOUBLE, MASK, SINGLE, TEXT, Scene, close, flux, noise
from torch import Tensor

import mogle_core.model.flux.layers
import mogle_core.model.stream.attention
from mogle_core.masks.labels import CLASS_NAMES
from mogle_core.model.flux.attention import attend
from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture.mask_latents import class_shares
from mogle_core.model.stream.attention import StreamOptions, attention_mask
from mogle_core.model.stream.blocks import double_block, single_block
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.mask_stream import MaskStream
from mogle_core.model.stream.mask_tokens import mask_positions
from mogle_core.model.stream.region_text import RegionPrompt, RegionText, area_of, join_context, text_bias

pytestmark = pytest.mark.usefixtures("inference")

GRID = (2, 3)
HAIR = CLASS_NAMES.index("hair")
BROW = CLASS_NAMES.index("l_brow")


# --- Which tokens are a class's.


def label_map(*rectangles: tuple[int, slice, slice]) -> Tensor:
    ids = torch.zeros(1, 32, 48, dtype=torch.uint8)
    for number, rows, columns in rectangles:
        ids[:, rows, columns] = number
    return ids


def area(ids: Tensor, name: str) -> list[list[bool]]:
    return area_of(class_shares(ids, name)).reshape(-1, 3).tolist()


def test_a_token_belongs_to_a_class_from_a_twentieth_on() -> None:
    """The first column is full. The second has 13 of 256 pixels, the third 12."""
    columns = ((slice(0, 16), slice(0, 16)), (slice(0, 13), slice(16, 17)), (slice(0, 12), slice(32, 33)))
    ids = label_map(*((HAIR, *column) for column in columns))
    assert area(ids, "hair") == [[True, True, False], [False, False, False]]


def test_a_thin_class_still_has_an_area() -> None:
    """Two rows of pixels cover an eighth of their fullest token. Specks beside it do not count."""
    ids = label_map((BROW, slice(14, 16), slice(0, 24)), (BROW, slice(16, 17), slice(0, 1)))
    assert area(ids, "l_brow") == [[True, True, False], [False, False, False]]


def test_an_absent_class_has_no_area_and_each_picture_its_own() -> None:
    ids = torch.cat((label_map(), label_map((HAIR, slice(16, 32), slice(0, 48)))))
    found = area_of(class_shares(ids, "hair"))
    assert found.tolist() == [[False] * 6, [False] * 3 + [True] * 3]
    assert area_of(class_shares(ids, "background")).tolist() == [[True] * 6, [True] * 3 + [False] * 3]


def test_shares_of_all_classes_sum_to_one() -> None:
    ids = torch.randint(0, 19, (2, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    total = torch.stack([class_shares(ids, name) for name in CLASS_NAMES]).sum(0)
    torch.testing.assert_close(total, torch.ones(2, 4, 4))


# --- Who sees whom.


def two_texts(
    strengths: tuple[float, float] = (1.0, 1.0), global_text: tuple[float, float] = (1.0, 1.0)
) -> tuple[RegionText, RegionText]:
    """Texts for the first two of four positions and for the third. The positions are 2 x 2."""
    first = torch.tensor([[True, True, False, False], [False, True, False, False]])
    second = torch.tensor([[False, False, True, False], [False, True, True, False]])
    return (
        RegionText(torch.zeros(1, 2, 5), first, strengths[0], global_text[0]),
        RegionText(torch.zeros(1, 3, 5), second, strengths[1], global_text[1]),
    )


def owners(text: int) -> list[tuple[str, int]]:
    """The kind of each token (global text, region text, image or mask) and its number."""
    kinds = [("global", i) for i in range(text)] + [("first", i) for i in range(2)] + [("second", i) for i in range(3)]
    return kinds + [("image", i) for i in range(4)] + [("mask", i) for i in range(4)]


@pytest.mark.parametrize("text", [0, 3])
def test_every_pair_of_tokens(text: int) -> None:
    texts, tokens = two_texts((0.5, 2.0), (0.2, 0.0)), owners(text)
    bias = text_bias(texts, text + 5, text + 9, 4, torch.ones(1))
    assert bias.shape == (2, 1, len(tokens), len(tokens))
    areas = {"first": texts[0], "second": texts[1]}
    for picture, (row, (one, place)), (column, (other, there)) in product(
        range(2), enumerate(tokens), enumerate(tokens)
    ):
        expected = 0.0
        if other == "global" and one in ("image", "mask"):
            heard = [t.prompt_strength for t in texts if t.area[picture, place]]
            expected = math.log(min(heard)) if heard and min(heard) > 0 else -math.inf if heard else 0.0
        if one in areas and other in areas:
            expected = 0.0 if one == other else -math.inf
        elif one in areas or other in areas:
            regional, kind, at = (areas[one], other, there) if one in areas else (areas[other], one, place)
            inside = kind in ("image", "mask") and bool(regional.area[picture, at])
            expected = math.log(regional.strength) if inside else -math.inf
        assert bias[picture, 0, row, column].item() == pytest.approx(expected), (one, place, other, there)


def test_masks_own_strength_and_options_compose() -> None:
    texts = two_texts((0.5, 2.0))
    like = torch.ones(1, dtype=torch.float64)
    strict = StreamOptions(independent_condition=True, strength=2)
    for options in (StreamOptions(), StreamOptions(strength=0.3), strict):
        plain = attention_mask(None, 12, 4, options, like)
        found = attention_mask(None, 12, 4, options, like, texts, 8)
        expected = text_bias(texts, 8, 12, 4, like) + (0 if plain is None else plain)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("shape", [(7, 7), (BATCH, 7, 7), (BATCH, 1, 7, 7), (BATCH, 1, 1, 7)])
@pytest.mark.parametrize("kind", [torch.bool, torch.float32], ids=str)
def test_the_hosts_mask_is_widened_for_the_texts(shape: tuple[int, ...], kind: torch.dtype) -> None:
    """It covers three text and four image tokens. The five of the regions are inserted between them."""
    seen = torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.3
    additive = torch.zeros(shape).masked_fill(~seen, -math.inf)
    given = seen if kind == torch.bool else additive
    texts = two_texts()
    found = attention_mask(given, 12, 4, StreamOptions(), torch.ones(1), texts, 8)
    places = [0, 1, 2, 8, 9, 10, 11]
    kept = found[:, 0][:, places][:, :, places]
    rows = additive[:, 0] if additive.ndim == 4 else additive
    assert torch.equal(kept, rows.expand(BATCH, 7, 7))
    bias = text_bias(texts, 8, 12, 4, torch.ones(1))
    assert torch.equal(found[:, :, 3:8], bias[:, :, 3:8])
    assert torch.equal(found[..., 3:8], bias[..., 3:8])
    # As wide as all tokens: it knows of the regions, and is taken as it is.
    whole = torch.zeros(12, 12)
    assert torch.equal(attention_mask(whole, 12, 4, StreamOptions(), torch.ones(1), texts, 8), bias)


# --- One block.


def block_scene(words: int, where: Tensor) -> tuple[Scene, RegionText]:
    """The scene with a region text of this many tokens after its text."""
    scene = Scene()
    scene.txt = torch.cat((scene.txt, noise(8, words)), 1)
    return scene, RegionText(torch.zeros(1, words, 1), where)


def stream_of(model: Flux, scene: Scene, text: RegionText) -> MaskStream:
    return scene.stream(model, texts=(text,), text=scene.txt.shape[1])


def rotary(model: Flux, scene: Scene) -> Tensor:
    return model.rotary(torch.cat((torch.zeros(1, scene.txt.shape[1], 3), mask_positions(*GRID)), dim=1))


def one_block(kind: str, model: Flux, scene: Scene, mask: MaskStream) -> tuple[Tensor, Tensor]:
    """Text and image tokens after one block."""
    turned = rotary(model, scene)
    if kind == "double":
        block = model.get_submodule(DOUBLE)
        img, txt = double_block(block, DOUBLE, scene.img, scene.txt, scene.vec, turned, attend, mask=mask)
        return txt, img
    x = torch.cat((scene.txt, scene.img), 1)
    x = single_block(model.get_submodule(SINGLE), SINGLE, x, scene.vec, turned, attend, mask=mask)
    return x.tensor_split([scene.txt.shape[1]], dim=1)


@pytest.mark.parametrize("kind", ["double", "single"])
def test_in_one_block_a_regions_text_reaches_its_area_only(kind: str) -> None:
    model, where = flux(), torch.tensor([[True, False, True, False, False, True], [False] * 5 + [True]])
    scene, text = block_scene(4, where)
    other = replace(scene, txt=torch.cat((scene.txt[:, :TEXT], -scene.txt[:, TEXT:]), 1))
    masks = stream_of(model, scene, text), stream_of(model, other, text)
    txt, img = one_block(kind, model, scene, masks[0])
    txt_after, img_after = one_block(kind, model, other, masks[1])
    assert torch.equal(txt[:, :TEXT], txt_after[:, :TEXT])
    assert torch.equal(img[~where], img_after[~where])
    assert torch.equal(masks[0].tokens[~where], masks[1].tokens[~where])
    for before, after in ((img, img_after), (masks[0].tokens, masks[1].tokens)):
        assert ((before - after).abs().amax(-1)[where] > 1e-3).all()


@pytest.mark.parametrize("kind", ["double", "single"])
def test_a_regions_text_is_blind_to_the_rest(kind: str) -> None:
    """The global text, tokens outside the area and another region's text do not change a region's text."""
    model, where = flux(), torch.tensor([[True, True, True, False, False, False]]).expand(BATCH, -1)
    scene, _ = block_scene(6, where)
    texts = (RegionText(torch.zeros(1, 4, 1), where), RegionText(torch.zeros(1, 2, 1), ~where))
    other = replace(scene, txt=scene.txt.clone(), img=scene.img.clone(), tokens=scene.tokens.clone())
    other.txt[:, :TEXT] *= -1
    other.txt[:, TEXT + 4 :] *= -1
    for part in (other.img, other.tokens):
        part[~where] *= -1
    found = [
        one_block(kind, model, s, s.stream(model, texts=texts, text=TEXT + 6))[0][:, TEXT : TEXT + 4]
        for s in (scene, other)
    ]
    assert torch.equal(*found)


# --- The whole transformer.


@pytest.fixture(scope="module")
def model() -> Flux:
    return read_transformer()


def run(model: Flux, txt: Tensor, texts: tuple[RegionText, ...] = (), options: StreamOptions | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    img, pooled, tokens = (torch.randn(BATCH, *shape, generator=generator) for shape in ((6, 64), (24,), (6, 64)))
    lora = read_lora().requires_grad_(False).low_rank()
    mask = MaskCondition(tokens, GRID, lora, options or StreamOptions(), texts=texts)
    time, guidance = torch.linspace(0.8, 0.3, BATCH), torch.full((BATCH,), 3.5)
    return model(img, txt, time, pooled, GRID, guidance, mask)


def words(seed: int, count: int, batch: int = BATCH) -> Tensor:
    return torch.randn(batch, count, 32, generator=torch.Generator().manual_seed(seed))


EVERYWHERE = torch.ones(BATCH, 6, dtype=torch.bool)


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_everywhere_and_with_no_other_text_it_is_the_text(strength: float, model: Flux) -> None:
    options = StreamOptions(strength=strength)
    alone = run(model, words(1, 0), (RegionText(words(2, 4), EVERYWHERE),), options)
    torch.testing.assert_close(alone, run(model, words(2, 4), options=options), rtol=1e-4, atol=1e-5)


def test_with_no_area_it_changes_nothing(model: Flux) -> None:
    """Up to rounding: its tokens have weight zero, but a dense mask changes the order of sums."""
    plain = run(model, words(1, 4))
    for text in (
        RegionText(words(2, 3), ~EVERYWHERE, prompt_strength=0.1),
        RegionText(words(2, 3), EVERYWHERE, strength=0.0, prompt_strength=0.1),
    ):
        torch.testing.assert_close(run(model, words(1, 4), (text,)), plain, rtol=1e-5, atol=1e-6)
    heard = run(model, words(1, 4), (RegionText(words(2, 3), EVERYWHERE),))
    assert not torch.allclose(heard, plain, atol=1e-3)


def test_twice_at_half_strength_is_once_in_the_first_block() -> None:
    """n equal keys with 1/n of the weight count as one, because strength is a factor on a token's weight."""
    net, scene = flux(), Scene()
    where = torch.ones(BATCH, MASK, dtype=torch.bool)
    region = noise(8, 2)
    once = replace(scene, txt=torch.cat((scene.txt, region), 1))
    twice = replace(scene, txt=torch.cat((scene.txt, region, region), 1))
    single = RegionText(torch.zeros(1, 2, 1), where)
    half = (replace(single, strength=0.5), replace(single, strength=0.5))
    expected = one_block("double", net, once, stream_of(net, once, single))[1]
    found = one_block("double", net, twice, twice.stream(net, texts=half, text=TEXT + 4))[1]
    close(found, expected)


def test_everywhere_and_alone_it_is_the_text_whatever_the_other_says(model: Flux) -> None:
    """With prompt_strength 0 no image token attends to the global text, so its content does not matter."""
    text = RegionText(words(2, 4), EVERYWHERE, prompt_strength=0.0)
    alone = run(model, words(2, 4))
    for seed in (1, 3):
        torch.testing.assert_close(run(model, words(seed, 5), (text,)), alone, rtol=1e-4, atol=1e-5)


def test_less_of_the_global_text_is_less_of_it(model: Flux) -> None:
    distances = []
    for heard in (1.0, 0.5, 0.2, 0.0):
        texts = (RegionText(words(2, 4), EVERYWHERE, prompt_strength=heard),)
        distances.append((run(model, words(1, 4), texts) - run(model, words(2, 4))).norm().item())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-4 < distances[0]


def test_each_picture_of_a_batch_is_as_it_is_alone(model: Flux) -> None:
    where = torch.tensor([[True, False, False, True, False, False], [False] * 6])
    texts = (RegionText(words(2, 3, batch=1), where), RegionText(words(3, 2), ~where))
    together = run(model, words(1, 4), texts)
    only_second = run(model, words(1, 4), (texts[1],))
    # The first text has no area in the second picture.
    torch.testing.assert_close(together[1], only_second[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], only_second[0], atol=1e-3)


def test_the_mask_is_built_once_a_pass_and_only_if_there_is_a_text(model: Flux, monkeypatch) -> None:
    built, seen = [], []
    original = text_bias
    monkeypatch.setattr(
        mogle_core.model.stream.attention, "text_bias", lambda *args: built.append(1) or original(*args)
    )

    def spy(q: Tensor, k: Tensor, v: Tensor, turned: Tensor | None, mask: Tensor | None) -> Tensor:
        seen.append(mask)
        return attend(q, k, v, turned, mask)

    monkeypatch.setattr(mogle_core.model.flux.layers, "attend", spy)
    run(model, words(1, 4))
    assert len(seen) > 2 and seen == [None] * len(seen) and not built
    run(model, words(1, 4), (RegionText(words(2, 3), EVERYWHERE),))
    assert len(built) == 1
    assert all(mask is not None for mask in seen[len(seen) // 2 :])


def test_contexts_are_joined_in_order() -> None:
    texts = (RegionText(words(2, 3, batch=1), EVERYWHERE), RegionText(words(3, 2), EVERYWHERE))
    joined = join_context(words(1, 4), texts)
    expected = (words(1, 4), words(2, 3, batch=1).expand(BATCH, -1, -1), words(3, 2))
    assert torch.equal(joined, torch.cat(expected, 1))


def test_a_prompt_for_an_unknown_class_is_refused() -> None:
    context = torch.zeros(1, 2, 3)
    with pytest.raises(ValueError, match="no class 'full mask'; the classes are background, skin"):
        RegionPrompt("full mask", context)
    with pytest.raises(ValueError, match="strength of the prompt for 'hair' is 3; choose 0 to 2"):
        RegionPrompt("hair", context, 3)
    with pytest.raises(ValueError, match="prompt_strength of the prompt for 'hair' is 1.5; choose 0 to 1"):
        RegionPrompt("hair", context, prompt_strength=1.5)
    with pytest.raises(ValueError, match="time window of the prompt for 'hair' runs from 0.6 to 0.4"):
        RegionPrompt("hair", context, 1.0, 0.6, 0.4)
