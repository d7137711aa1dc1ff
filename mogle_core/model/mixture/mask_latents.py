"""Encodes mask pictures as VAE latents, each distinct picture once. Latents are cached by content.

An absent class is one constant black picture, so a portrait of 12 classes has 14 distinct pictures, not 20; and after
a region was repainted, only the changed pictures are encoded again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

import torch
from torch import Tensor
from torch.nn import functional as F

from ...masks.decouple import Decoupled, MaskError, region
from ...masks.labels import CLASS_NAMES, NUM_MASKS
from ..conditions import ABSENT
from ..flux_latents import DOWNSCALE, LATENT_CHANNELS, TOKEN_PIXELS

Encode = Callable[[Tensor], Tensor]
"""A VAE: pictures (N, H, W, 3) in 0..1 -> latents (N, 16, H/8, W/8) as the transformer takes them, that is
(z - shift) * scale, and the distribution's mean: sampled masks would make pictures that no seed repeats."""


MIXED = -1
"""Stands for a class in a latent cell whose pixels have several classes."""


@dataclass(frozen=True)
class MaskLatents:
    """The output of MoGLE Encode: (B, 20, 16, H/8, W/8), the full mask first, then classes 0..18.

    ids: the label maps (B, H, W) behind them, if known. extra: the latents (B, 16, H/8, W/8) of further conditions, by
    kind.
    """

    latents: Tensor
    ids: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        return self.latents.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.latents.shape[-2:]
        return width * DOWNSCALE, height * DOWNSCALE

    def with_condition(self, kind: str, latents: Tensor) -> MaskLatents:
        """These masks with a further condition's latents (B or 1, 16, H/8, W/8); an earlier one of its kind goes.

        Raises:
            MaskError: its size is not the masks', or its batch is neither 1 nor the masks'.
        """
        if latents.shape[-2:] != self.latents.shape[-2:]:
            height, width = (side * DOWNSCALE for side in latents.shape[-2:])
            raise MaskError(
                f"The {kind} was encoded at {width} x {height} pixels, and the masks at {self.size[0]} x "
                f"{self.size[1]}: set width and height of Add Condition to those of MoGLE Encode."
            )
        count = max(self.batch, len(latents))
        if {self.batch, len(latents)} - {1, count}:
            raise MaskError(
                f"{len(latents)} pictures of a {kind} were given for {self.batch} masks: give one, or as many."
            )
        return replace(
            self,
            latents=self.latents.expand(count, *self.latents.shape[1:]),
            ids=None if self.ids is None else self.ids.expand(count, *self.ids.shape[1:]),
            extra={name: each.expand(count, *each.shape[1:]) for name, each in {**self.extra, kind: latents}.items()},
        )

    def cells(self) -> Tensor | None:
        """The class of each latent cell, as `pure_cells`, where mask tokens may be merged inside of regions.

        None without a label map, and with a further condition, because its lines run inside of regions as well.
        """
        return None if self.ids is None or self.extra else pure_cells(self.ids)

    def for_network(self, extra: tuple[str, ...]) -> Tensor:
        """The latents (B, 20 + K, 16, H/8, W/8) for a network with these further conditions, in its order.

        A condition that is not given has a latent of zeros.

        Raises:
            MaskError: the network lacks an expert for a condition.
        """
        if lacking := [kind for kind in self.extra if kind not in extra]:
            has = f"one for {' and '.join(extra)}" if extra else "experts for the masks alone"
            raise MaskError(
                f"This network has no expert for a {lacking[0]}; it has {has}. Take Add Condition out, or load a "
                f"checkpoint that was trained with a {lacking[0]}. A FLUX ControlNet for it, in place of Add "
                "Condition, also works beside the mask."
            )
        if not extra:
            return self.latents
        absent = torch.full_like(self.latents[:, 0], ABSENT)
        parts = [self.extra.get(kind, absent).to(absent) for kind in extra]
        return torch.cat((self.latents, torch.stack(parts, dim=1)), dim=1)


@dataclass
class LatentCache:
    """A thread-safe cache of latents by content, which drops the least recently used first.

    budget: bytes.
    """

    budget: int = 256 * 2**20
    _kept: OrderedDict[Hashable, Tensor] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: Hashable) -> Tensor | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, latent: Tensor) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = latent
                self._bytes += _size(latent)
            while self._bytes > self.budget and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])


def encode(masks: Decoupled, vae: Encode, cache: LatentCache, owner: Hashable = None) -> MaskLatents:
    """The latents of all mask pictures of the batch; each distinct picture is encoded once.

    Args:
        masks: (B, H, W) ids; H and W multiples of 16.
        owner: what the latents depend on beside the picture, that is the VAE.

    Raises:
        MaskError: FLUX cannot pack this size, or the VAE is not FLUX's.
    """
    check_size(masks.width, masks.height)
    keys = [(owner, key) for item in range(masks.batch) for key in masks.keys(item)]
    known = {key: latent for key in set(keys) if (latent := cache.get(key)) is not None}
    missing = [(number, key) for number, key in _first_of_each(keys) if key not in known]
    if missing:
        pictures = torch.stack([masks.mask_image(*divmod(number, NUM_MASKS)) for number, _ in missing])
        latents = checked(vae(pictures), pictures)
        for (_, key), latent in zip(missing, latents, strict=True):
            known[key] = latent.clone()  # a copy of the row, so that the batch can be freed
            cache.put(key, known[key])
    stacked = torch.stack([known[key] for key in keys])
    return MaskLatents(stacked.reshape(masks.batch, NUM_MASKS, *stacked.shape[1:]), masks.ids)


def encode_condition(pictures: Tensor, vae: Encode, cache: LatentCache, kind: str, owner: Hashable = None) -> Tensor:
    """The latents (B, 16, H/8, W/8) of a further condition's pictures (B, H, W, 3) in 0..1.

    owner: as in `encode`.

    Raises:
        MaskError: FLUX cannot pack this size, or the VAE is not FLUX's.
    """
    check_size(pictures.shape[2], pictures.shape[1])
    latents = []
    for picture in pictures:
        key = (owner, kind, hashlib.sha256(picture.contiguous().cpu().numpy().tobytes()).digest(), picture.shape)
        if (known := cache.get(key)) is None:
            known = checked(vae(picture[None]), picture[None])[0].clone()
            cache.put(key, known)
        latents.append(known)
    return torch.stack(latents)


def class_shares(ids: Tensor, name: str) -> Tensor:
    """The share of each latent cell that a class covers: label maps (B, H, W) -> (B, H/8, W/8) float32 in 0..1."""
    return F.avg_pool2d(region(ids, CLASS_NAMES.index(name)), DOWNSCALE)


def pure_cells(ids: Tensor) -> Tensor:
    """The class of each latent cell: label maps (B, H, W) -> (B, H/8, W/8) int16, `MIXED` where it has several."""
    pixels = torch.unflatten(torch.unflatten(ids, 2, (-1, DOWNSCALE)), 1, (-1, DOWNSCALE))
    least, most = pixels.amin(dim=(2, 4)), pixels.amax(dim=(2, 4))
    return torch.where(least == most, least.to(torch.int16), MIXED)


def check_size(width: int, height: int, node: str = "MoGLE Encode", what: str = "mask") -> None:
    """Refuse sides that are not multiples of 16, because FLUX's tokens are 16 x 16 pixels."""
    if width <= 0 or height <= 0 or width % TOKEN_PIXELS or height % TOKEN_PIXELS:
        near = [max(TOKEN_PIXELS, round(side / TOKEN_PIXELS) * TOKEN_PIXELS) for side in (width, height)]
        raise MaskError(
            f"{node} cannot use a {what} of {width} x {height} pixels: width and height must be multiples "
            f"of {TOKEN_PIXELS}. Set its width and height to {near[0]} and {near[1]}, as in Empty Latent Image, "
            "or connect the latent that is sampled."
        )


def checked(latents: Tensor, pictures: Tensor) -> Tensor:
    """The VAE's latents, after a check that they are FLUX.1's."""
    height, width = pictures.shape[1] // DOWNSCALE, pictures.shape[2] // DOWNSCALE
    if latents.shape[1:] != (LATENT_CHANNELS, height, width):
        raise MaskError(
            f"The VAE made latents of shape {tuple(latents.shape[1:])} from pictures of {pictures.shape[2]} x "
            f"{pictures.shape[1]}; FLUX.1's makes {(LATENT_CHANNELS, height, width)}. Connect FLUX.1's VAE "
            "(ae.safetensors) to MoGLE Encode."
        )
    return latents


def _first_of_each(keys: list[tuple[Hashable, bytes]]) -> list[tuple[int, tuple[Hashable, bytes]]]:
    first = {key: number for number, key in reversed(list(enumerate(keys)))}
    return sorted((number, key) for key, number in first.items())


def _size(latent: Tensor) -> int:
    return latent.numel() * latent.element_size()
