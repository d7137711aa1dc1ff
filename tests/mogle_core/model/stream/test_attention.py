"""Which tokens attend to which: the additive masks of the options, and blocks that obey them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from support.written_out import (
    BATCH,
    IMAGE,
    OPTIONS,
    TEXT,
    Scene,
    close,
    flux,
    run_all,
    run_double,
    run_single,
)
from torch import Tensor

from mogle_core.model.flux.attention import attend
from mogle_core.model.flux.model import Flux
from mogle_core.model.stream.attention import ByStream, StreamOptions, attention_mask, who_sees_whom
from mogle_core.model.stream.region_text import RegionText

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def model() -> Flux:
    return flux()


def test_no_mask_is_built_if_all_tokens_see_each_other(model: Flux) -> None:
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
    """Tokens that the host hides stay hidden: the first text token does not change the others."""
    given = torch.zeros(TEXT + IMAGE, TEXT + IMAGE)
    given[1:, 0] = -math.inf
    scene, other = Scene(), Scene()
    other.txt[:, 0] += 1
    # A mask token would pass on what it sees of the hidden one; within one block there is no time for that.
    ours, theirs = (run_single(model, s, s.stream(model), attn_mask=given, last=last) for s in (scene, other))
    assert torch.equal(ours[:, 1:], theirs[:, 1:])
    assert not torch.allclose(ours, run_single(model, scene, scene.stream(model), last=last), atol=1e-4)


def test_without_attention_between_them_the_mask_changes_nothing(model: Flux) -> None:
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


def test_batch_items_are_independent(model: Flux) -> None:
    together = run_all(model, Scene(), Scene().stream(model))
    for i in range(BATCH):
        one = Scene()
        for name in ("img", "txt", "tokens", "vec", "own"):
            setattr(one, name, getattr(one, name)[i : i + 1])
        close(run_all(model, one, one.stream(model)), together[i : i + 1])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("others_alone", [False, True])
def test_two_calls_are_the_dense_mask(others_alone: bool, options: StreamOptions) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (3 * torch.randn(2, 4, 40, 16, generator=generator) for _ in range(3))
    sights, dense = who_sees_whom(None, 24, 16, options, q), attention_mask(None, 24, 16, options, q)
    if dense is None:
        assert sights is None
        return
    assert isinstance(sights, ByStream)
    assert torch.equal(sights.dense(q), dense)
    expected = attend(q, k, v, None, dense)
    if others_alone:
        q, expected = q[:, :, :24], expected[:, :24]
    torch.testing.assert_close(attend(q, k, v, None, sights), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("texts", [False, True])
def test_the_others_of_an_absent_picture_see_neither_mask_nor_region_texts(
    texts: bool, given: bool, options: StreamOptions
) -> None:
    """Among text and image of the first picture: as without a mask. The second picture: as without the option."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (3 * torch.randn(2, 4, 40, 16, generator=generator) for _ in range(3))
    host = torch.rand(24, 24, generator=generator) > 0.2 if given else None
    area = torch.rand(1, 16, generator=generator) > 0.5
    text = (RegionText(torch.zeros(1, 3, 8), area, prompt_strength=0.2),) if texts else ()
    absent = torch.tensor([True, False])
    shared = who_sees_whom(host, 24, 16, options, q, text, 8, absent)
    if isinstance(shared, ByStream):
        torch.testing.assert_close(attend(q, k, v, None, shared), attend(q, k, v, None, shared.dense(q)))
    result = attend(q, k, v, None, shared)
    assert torch.isfinite(result).all()
    known = torch.tensor([place for place in range(24) if not (texts and 5 <= place < 8)])
    sight = None if host is None else host[known][:, known]
    alone = attend(*(x[:, :, known] for x in (q, k, v)), None, sight)
    torch.testing.assert_close(result[0, known], alone[0], atol=1e-5, rtol=0)
    present = attend(q, k, v, None, who_sees_whom(host, 24, 16, options, q, text, 8))
    torch.testing.assert_close(result[1], present[1], atol=1e-5, rtol=0)


def test_a_dense_mask_only_where_the_host_or_a_text_asks_for_one() -> None:
    weak, like = StreamOptions(strength=0.3), torch.ones(1)
    assert isinstance(who_sees_whom(torch.zeros(4, 4), 4, 2, weak, like), Tensor)
    text = RegionText(torch.zeros(1, 1, 8), torch.tensor([[True, False]]))
    assert isinstance(who_sees_whom(None, 4, 2, weak, like, (text,), 2), Tensor)
    biases = who_sees_whom(None, 4096, 4096, weak, like)
    assert isinstance(biases, ByStream)
    sizes = [sight.bias.numel() for sight in (biases.by_others, biases.by_mask) if sight.bias is not None]
    assert sizes == [8192, 8192]
