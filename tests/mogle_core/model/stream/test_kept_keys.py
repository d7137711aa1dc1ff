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
from mogle_core.model.stream.kept_keys import Kept, Reuse, kept_bytes, nearest
from mogle_core.model.stream.key_forms import KeyForm
from mogle_core.model.stream.mask_stream import MaskInputs, MaskStream
from mogle_core.model.stream.mask_tokens import mask_positions
from mogle_core.model.stream.refresh import Refresh

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


def test_once_a_run_keeps_the_first_steps_keys() -> None:
    reuse = Reuse(Refresh(0), blocks=2)
    _, place = reuse.at("positive", 0, 20)
    whole(place)
    assert all(reuse.at("positive", step, 20) == (place, None) for step in range(1, 20))


def test_adaptive_keys_are_made_anew_when_a_pictures_tokens_have_moved() -> None:
    reuse, tokens = Reuse(Refresh(schedule="adaptive", threshold=0.1), blocks=2), torch.ones(2, 3, 4)
    _, place = reuse.at("positive", 0, 9, tokens)
    whole(place)
    assert reuse.at("positive", 1, 9, tokens * 1.09) == (place, None)
    other = tokens.clone()
    other[1] *= 1.11  # one of the two pictures is enough
    known, place = reuse.at("positive", 2, 9, other)
    assert known is None
    whole(place)
    assert reuse.at("positive", 3, 9, other) == (place, None)  # compared with what the keys were made of
    assert reuse.at("positive", 8, 9, tokens * 3) == (None, None)  # no step will come that could use them


def test_dropped_keys_are_made_again() -> None:
    reuse = Reuse(Refresh(4), blocks=2)
    whole(reuse.at("positive", 0, 8)[1])
    reuse.drop()
    known, place = reuse.at("positive", 1, 8)
    assert known is None
    whole(place)
    assert reuse.at("positive", 2, 8) == (place, None)


def test_a_pass_under_way_keeps_the_keys_that_are_dropped() -> None:
    reuse = Reuse(Refresh(4), blocks=2)
    whole(reuse.at("positive", 0, 8)[1])
    known, _ = reuse.at("positive", 1, 8)
    reuse.drop()
    assert known is not None
    assert len(known) == 2


# --- How they are stored.


@pytest.mark.parametrize("form", [KeyForm(), KeyForm(host=True)], ids=str)
@pytest.mark.usefixtures("inference")
def test_keys_are_the_same_wherever_they_wait(form: KeyForm, model: Flux) -> None:
    scene, plain, stored = Scene(), {}, form.new()
    run_all(model, scene, scene.stream(model, keep=plain))
    run_all(model, scene, scene.stream(model, keep=stored))
    assert len(stored) == BLOCKS
    for _ in range(2):  # a second pass begins again at the first block
        for name, keys in plain.items():
            assert all(torch.equal(*pair) for pair in zip(keys, stored[name], strict=True))
    expected = run_all(model, scene, resting(model, scene, plain))
    assert torch.equal(run_all(model, scene, resting(model, scene, stored)), expected)


@pytest.mark.usefixtures("inference")
def test_eight_bit_keys_round_and_are_half_of_bfloat16() -> None:
    half, stored, plain = flux(torch.bfloat16), KeyForm(fp8=True).new(), {}
    scene = Scene(lora={})
    for name in ("img", "txt", "tokens", "vec", "own"):
        setattr(scene, name, getattr(scene, name).bfloat16())
    run_all(half, scene, scene.stream(half, keep=plain))
    run_all(half, scene, scene.stream(half, keep=stored))
    size = sum(part.numel() * part.element_size() for keys in plain.values() for part in keys)
    scales = 2 * 4 * BLOCKS  # one float32 for each tensor
    assert stored.on_device == size // 2 + scales
    for name, keys in plain.items():
        for exact, rounded in zip(keys, stored[name], strict=True):
            assert rounded.dtype == torch.bfloat16
            assert ((rounded - exact).abs() <= exact.abs() / 16 + 2.0**-7).all()  # three binary digits
            assert not torch.equal(rounded, exact)


@pytest.mark.usefixtures("inference")
def test_in_host_memory_two_blocks_keys_are_on_the_device(model: Flux) -> None:
    scene, stored = Scene(), KeyForm(host=True).new()
    run_all(model, scene, scene.stream(model, keep=stored))
    assert stored.on_device == 0
    _, whole_set = stored[f"double_blocks.{DEPTH - 1}"], KeyForm().new()
    run_all(model, scene, scene.stream(model, keep=whole_set))
    assert stored.on_device == whole_set.on_device * 2 // BLOCKS


def test_the_memory_told_is_what_a_pass_stores(model: Flux) -> None:
    scene, stored = Scene(), KeyForm().new()
    with torch.inference_mode():
        run_all(model, scene, scene.stream(model, keep=stored))
    total = kept_bytes(BLOCKS, scene.tokens.shape[0], MASK, model.params.hidden_size, 4)
    assert stored.on_device == total
    assert KeyForm().device_bytes(total, 4, BLOCKS) == total
    assert KeyForm(fp8=True).device_bytes(total, 4, BLOCKS) == total // 4
    assert KeyForm(host=True).device_bytes(total, 4, BLOCKS) == total * 2 // BLOCKS


def test_flux_at_512_pixels_in_bfloat16_keeps_684_mib() -> None:
    assert round(kept_bytes(57, 1, 1024, 3072, 2) / 2**20) == 684


def test_a_form_that_is_none() -> None:
    with pytest.raises(ValueError, match="no key_storage 'fp4': choose auto or fp8 or host memory"):
        KeyForm.of("fp4")


def test_a_step_is_the_nearest_to_its_sigma() -> None:
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
