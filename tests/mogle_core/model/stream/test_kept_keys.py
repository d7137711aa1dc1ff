"""Stored keys: when they are computed, which conditioning they belong to, and a pass that reuses its keys is exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from support.small_weights import TINY
from support.written_out import DEPTH, IMAGE, MASK, TEXT, Scene, close, flux, run_all
from torch import Tensor

from mogle_core.model.flux.model import Flux
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.kept_keys import Kept, Refresh, Reuse, kept_bytes, nearest
from mogle_core.model.stream.mask_stream import MaskInputs, MaskStream
from mogle_core.model.stream.mask_tokens import mask_positions

BLOCKS = DEPTH + TINY.single


@pytest.fixture(scope="module")
def model() -> Flux:
    return flux()


def resting(model: Flux, scene: Scene, kept: Kept) -> MaskStream:
    rotary = model.rotary(mask_positions(2, 3))
    return MaskStream(scene.tokens[:, :0], MaskInputs({}, rotary, scene.lora, scene.options, reuse=kept))


@pytest.mark.parametrize("strength", [1.0, 0.3, 1.7])
@pytest.mark.usefixtures("inference")
def test_a_pass_that_reuses_its_own_keys_is_the_same(strength: float, model: Flux) -> None:
    """With the same image and time, the keys are what it would compute, and only the keys affect other tokens."""
    scene, kept = Scene(options=StreamOptions(strength=strength)), {}
    exact = run_all(model, scene, scene.stream(model))
    assert torch.equal(run_all(model, scene, scene.stream(model, keep=kept)), exact)
    assert len(kept) == BLOCKS
    assert all(k.shape == v.shape == (2, 4, MASK, 16) for k, v in kept.values())
    stream = resting(model, scene, kept)
    close(run_all(model, scene, stream), exact)
    assert stream.blocks == BLOCKS
    assert not torch.allclose(run_all(model, scene, None), exact, atol=1e-3)


@pytest.mark.usefixtures("inference")
def test_kept_keys_outlive_the_pass_unchanged(model: Flux) -> None:
    scene, kept = Scene(), {}
    run_all(model, scene, scene.stream(model, keep=kept))
    before = {name: (k.clone(), v.clone()) for name, (k, v) in kept.items()}
    run_all(model, Scene(img=-scene.img), resting(model, scene, kept))
    for name, pair in kept.items():
        assert all(torch.equal(*both) for both in zip(pair, before[name], strict=True))


@pytest.mark.usefixtures("inference")
def test_a_hosts_mask_holds_beside_kept_keys(model: Flux) -> None:
    from support.written_out import SINGLE, run_single

    scene, kept, given = Scene(), {}, torch.zeros(TEXT + IMAGE, TEXT + IMAGE)
    given[1:, 0] = -torch.inf
    exact = run_single(model, scene, scene.stream(model, keep=kept), attn_mask=given)
    assert list(kept) == [SINGLE]
    close(run_single(model, scene, resting(model, scene, kept), attn_mask=given), exact)


def test_even_steps_and_a_dense_start() -> None:
    def sources(refresh: Refresh, steps: int) -> list[int]:
        return [refresh.source(step, steps) for step in range(steps)]

    assert sources(Refresh(), 4) == [0, 1, 2, 3]
    assert sources(Refresh(3), 7) == [0, 0, 0, 3, 3, 3, 6]
    assert sources(Refresh(3, "dense early"), 10) == [0, 1, 2, 3, 3, 3, 6, 6, 6, 9]
    assert Refresh(4).refreshed(28) == 7
    assert Refresh(4, "dense early").refreshed(28) == 9 + 5


@pytest.mark.parametrize(("every", "schedule", "word"), [(0, "even", "starts at 1"), (2, "odd", "dense early")])
def test_other_settings_are_refused(every: int, schedule: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Refresh(every, schedule)


def test_options_that_need_the_mask_tokens_are_refused() -> None:
    Refresh().check(StreamOptions(latent_lora=True))
    for options in (StreamOptions(latent_lora=True), StreamOptions(add_condition_attention=True)):
        with pytest.raises(ValueError, match="set refresh_every to 1"):
            Refresh(2).check(options)


def whole(place: Kept | None) -> None:
    assert place is not None
    place.update({f"block {i}": (Tensor(), Tensor()) for i in range(2)})


def test_keys_belong_to_a_conditioning_and_an_interval() -> None:
    reuse = Reuse(Refresh(2), blocks=2)
    known, place = reuse.at("positive", 0, 4)
    assert known is None
    whole(place)
    assert reuse.at("negative", 0, 4)[0] is None
    assert reuse.at("positive", 0, 4) == (place, None)  # a second call at the same step
    assert reuse.at("positive", 1, 4) == (place, None)
    assert reuse.at("positive", 2, 4)[0] is None  # the next interval; what came before is given up
    assert reuse.at("positive", 1, 4)[0] is None


def test_keys_that_are_not_whole_are_not_reused() -> None:
    """A pass that skips blocks, as with skip-layer guidance, stores fewer keys."""
    reuse = Reuse(Refresh(4), blocks=3)
    whole(reuse.at("positive", 0, 8)[1])
    known, place = reuse.at("positive", 1, 8)
    assert known is None
    assert place == {}


def test_nothing_is_kept_for_a_step_that_will_not_come() -> None:
    assert Reuse(Refresh(4), 2).at("positive", 4, 5) == (None, None)
    assert Reuse(Refresh(2, "dense early"), 2).at("positive", 0, 10) == (None, None)


def test_memory_and_places() -> None:
    # FLUX.1 at 512 x 512 in bf16: 57 blocks, 1024 tokens, 3072 wide.
    assert kept_bytes(57, 1, 1024, 3072, 2) == 57 * 2 * 1024 * 3072 * 2
    sigmas = [1.0, 0.8, 0.5, 0.0]
    assert [nearest(sigma, sigmas) for sigma in (1.1, 1.0, 0.8, 0.79, 0.5, 0.1)] == [0, 0, 1, 1, 2, 2]


def test_what_outlives_a_block_is_made_in_the_hosts_context() -> None:
    """Kept keys and the extended embedding: made in one block, used in others."""
    entered: list[bool] = []

    @contextmanager
    def noted() -> Iterator[None]:
        entered.append(True)
        yield
        entered[-1] = False

    kept: dict[str, tuple[Tensor, Tensor]] = {}
    rotary = torch.randn(1, 1, 3, 2, 2, 2)
    stream = MaskStream(torch.zeros(1, 3, 8), MaskInputs({}, rotary, keep=kept), outliving=noted)
    host = torch.randn(1, 1, 4, 2, 2, 2)
    assert stream.extend_rotary(host) is stream.extend_rotary(host)
    assert entered == [False]
    k, v = torch.randn(2, 1, 2, 7, 4)
    stream.keys("double_blocks.0", k, v, 4)
    assert entered == [False, False] and kept["double_blocks.0"][0].shape[2] == 3
