"""Each distinct mask image is encoded once, and the result is the same as if all 20 had been encoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from PIL import Image
from support.places import DATA
from torch import Tensor
from torch.nn import functional as F

from mogle_core.masks.decouple import Decoupled, MaskError, decode_image
from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.mixture.mask_latents import LatentCache, MaskLatents, check_size, encode

MASKS = DATA / "masks"
HAIR, BACKGROUND = 13, 0


@dataclass
class FakeVAE:
    """Latents that depend on every pixel; it records how many images each call had."""

    channels: int = 16
    calls: list[int] = field(default_factory=list)

    def __call__(self, pictures: Tensor) -> Tensor:
        assert pictures.shape[-1] == 3
        self.calls.append(len(pictures))
        small = F.pixel_unshuffle(pictures.double().movedim(-1, 1), 8).float()  # (N, 192, H/8, W/8)
        mix = torch.randn(self.channels, small.shape[1], generator=torch.Generator().manual_seed(0))
        return torch.stack([torch.tensordot(mix, one, 1) for one in small])  # each picture on its own

    @property
    def encoded(self) -> int:
        return sum(self.calls)


def mask(name: str = "mm_celeba_27000", side: int = 64) -> Decoupled:
    ids = decode_image(Image.open(MASKS / f"{name}.png")).ids
    return Decoupled(ids).resized(side, side)


def full_size() -> Decoupled:
    return Decoupled(decode_image(Image.open(MASKS / "mm_celeba_27000.png")).ids)


def naive(masks: Decoupled) -> Tensor:
    return torch.stack([FakeVAE()(masks.mask_images(index)) for index in range(masks.batch)])


def repainted(masks: Decoupled) -> Decoupled:
    """The label map with part of the hair turned into background."""
    ids = masks.ids.clone()
    top = torch.arange(ids.shape[1])[:, None] < ids.shape[1] // 2
    assert ((ids == HAIR) & top).any()
    assert ((ids == HAIR) & ~top).any()
    ids[(ids == HAIR) & top] = BACKGROUND
    return Decoupled(ids)


def test_a_portrait_takes_14_encodes() -> None:
    """The full mask, its 12 classes, and one black image for the other seven classes."""
    masks, vae = full_size(), FakeVAE()
    assert len(masks.ids.unique()) == 12
    latents = encode(masks, vae, LatentCache())
    assert vae.calls == [14]
    side = masks.height // 8
    assert latents.latents.shape == (1, NUM_MASKS, 16, side, side)
    assert latents.size == (masks.width, masks.height)
    assert torch.equal(latents.latents, naive(masks))


def test_a_second_time_takes_none() -> None:
    vae, cache = FakeVAE(), LatentCache()
    first = encode(mask(), vae, cache)
    again = encode(mask(), vae, cache)
    assert len(vae.calls) == 1
    assert torch.equal(first.latents, again.latents)


def test_repainting_encodes_what_changed() -> None:
    """The full mask, hair and background."""
    vae, cache = FakeVAE(), LatentCache()
    encode(full_size(), vae, cache)
    changed = repainted(full_size())
    latents = encode(changed, vae, cache)
    assert vae.calls == [14, 3]
    assert torch.equal(latents.latents, naive(changed))


def test_blank_local_masks_take_two_encodes() -> None:
    blank, vae = Decoupled(mask().ids, "blank"), FakeVAE()
    latents = encode(blank, vae, LatentCache()).latents
    assert vae.encoded == 2
    assert torch.equal(latents, naive(blank))
    assert all(torch.equal(latents[0, i], latents[0, 1]) for i in range(2, NUM_MASKS))


def test_other_vae_other_latents() -> None:
    vae, cache = FakeVAE(), LatentCache()
    for owner, calls in (("a", 1), ("b", 2), ("a", 2), (("b", 1), 3)):
        encode(mask(), vae, cache, owner)
        assert len(vae.calls) == calls


def test_other_size_other_latents() -> None:
    vae, cache = FakeVAE(), LatentCache()
    for side in (64, 96, 64):
        latents = encode(mask(side=side), vae, cache)
        assert latents.size == (side, side)
        assert torch.equal(latents.latents, naive(mask(side=side)))
    assert len(vae.calls) == 2


def test_a_batch_shares_what_is_the_same() -> None:
    first, second = mask(), repainted(mask())
    both = Decoupled(torch.cat((first.ids, second.ids, first.ids)))
    vae = FakeVAE()
    latents = encode(both, vae, LatentCache())
    alone = FakeVAE()
    encode(first, alone, LatentCache())
    assert vae.calls == [alone.encoded + 3]
    assert latents.batch == 3
    assert torch.equal(latents.latents, naive(both))


def test_width_and_height_are_not_confused() -> None:
    masks = mask().resized(32, 64)
    latents = encode(masks, FakeVAE(), LatentCache())
    assert latents.latents.shape == (1, NUM_MASKS, 16, 4, 8)
    assert latents.size == (64, 32)
    assert MaskLatents(torch.zeros(1, NUM_MASKS, 16, 4, 8)).size == (64, 32)


def test_latents_of_a_tiny_cache_are_still_right() -> None:
    vae, cache = FakeVAE(), LatentCache(budget=1)
    for _ in range(2):
        assert torch.equal(encode(mask(), vae, cache).latents, naive(mask()))
    assert len(vae.calls) == 2


def test_cache_drops_the_least_recently_used() -> None:
    cache = LatentCache(budget=3 * 40)
    latents = {key: torch.full((10,), float(i)) for i, key in enumerate("abcd")}
    for key in "abc":
        cache.put(key, latents[key])
    assert torch.equal(cache.get("a"), latents["a"])
    cache.put("d", latents["d"])
    assert cache.get("b") is None
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    cache.put("large", torch.zeros(100))  # alone above the budget: kept, but nothing beside it
    assert [key for key in (*"abcd", "large") if cache.get(key) is not None] == ["large"]
    cache.put("a", latents["a"])
    assert cache.get("large") is None
    assert torch.equal(cache.get("a"), latents["a"])


def test_cached_latents_do_not_hold_the_whole_batch() -> None:
    cache = LatentCache()
    encode(mask(), FakeVAE(), cache)
    for key in mask().keys(0):
        kept = cache.get((None, key))
        assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()


@pytest.mark.parametrize(
    ("width", "height", "near"), [(500, 512, "496 and 512"), (64, 8, "64 and 16"), (0, 16, "16 and 16")]
)
def test_a_size_that_flux_cannot_pack(width: int, height: int, near: str) -> None:
    with pytest.raises(MaskError, match=f"MoGLE Encode.*{width} x {height}.*multiples of 16.*{near}"):
        check_size(width, height)
    check_size(16, 1024)


def test_an_odd_mask_is_refused_before_it_is_encoded() -> None:
    vae = FakeVAE()
    with pytest.raises(MaskError, match="72 x 64"):
        encode(mask().resized(64, 72), vae, LatentCache())
    assert not vae.calls


@pytest.mark.parametrize("channels", [4, 128])
def test_another_models_vae(channels: int) -> None:
    cache = LatentCache()
    with pytest.raises(MaskError, match=rf"\({channels}, 8, 8\).*FLUX.1's makes \(16, 8, 8\).*ae\.safetensors"):
        encode(mask(), FakeVAE(channels), cache)
    assert all(cache.get((None, key)) is None for key in mask().keys(0))


def test_a_vae_of_another_scale() -> None:
    with pytest.raises(MaskError, match=r"\(16, 4, 4\)"):
        encode(mask(), lambda pictures: torch.zeros(len(pictures), 16, 4, 4), LatentCache())
