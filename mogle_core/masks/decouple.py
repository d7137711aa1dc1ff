"""Label maps, and their conversion into the 1 full and 19 local masks of the method.

A label map is a uint8 tensor (B, H, W) of CelebAMask-HQ ids. It is only resized on its ids, by nearest
neighbour, because mixed colours would invent classes. `decode` reads stored masks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .decode import LabelMap, LabelMaps, MaskError, decode_image, decode_tensor
from .labels import FLIPPED, NUM_CLASSES, NUM_MASKS, PALETTE

__all__ = [
    "Decoupled",
    "LabelMap",
    "LocalMasks",
    "MaskError",
    "colours",
    "decode_image",
    "decode_tensor",
    "flip",
    "region",
    "regions",
    "resize",
]

LocalMasks = Literal["correct", "blank"]


def resize(ids: Tensor, height: int, width: int) -> Tensor:
    """Resize ids (B, H, W) by nearest neighbour, from pixel centre to pixel centre ("nearest-exact")."""
    if height < 1 or width < 1:
        raise MaskError(f"A mask cannot be resized to {width}x{height}: width and height start at 1.")
    if ids.shape[-2:] == (height, width):
        return ids
    return ids[:, _nearest(ids.shape[1], height, ids.device)][:, :, _nearest(ids.shape[2], width, ids.device)]


def _nearest(old: int, new: int, device: torch.device) -> Tensor:
    # floor((i + 1/2) * old / new) in integers, because floats may round a centre between two pixels either way.
    return (2 * torch.arange(new, device=device) + 1) * old // (2 * new)


def colours(ids: Tensor) -> Tensor:
    """The ids (B, H, W) painted in the palette: (B, H, W, 3) float32 in 0..1."""
    palette = torch.tensor(PALETTE, dtype=torch.float32, device=ids.device) / 255
    return palette[ids.long()]


def region(ids: Tensor, class_id: int) -> Tensor:
    """1 where the ids (B, H, W) are `class_id`, else 0: (B, H, W) float32."""
    return (ids == class_id).float()


def regions(ids: Tensor) -> Tensor:
    """Every class's region of ids (B, H, W): (B, 19, H, W) float32 0 or 1, summing to 1 at each pixel."""
    classes = torch.arange(NUM_CLASSES, dtype=ids.dtype, device=ids.device)
    return (ids[:, None] == classes[:, None, None]).float()


def flip(ids: Tensor) -> Tensor:
    """The ids (B, H, W) of the mirrored picture, in which the left eye, brow and ear are the right ones."""
    return torch.tensor(FLIPPED, dtype=torch.uint8, device=ids.device)[ids.flip(-1).long()]


@dataclass(frozen=True)
class Decoupled(LabelMaps):
    """Label maps (B, H, W) uint8 as the 20 masks of the method. A MOGLE_MASKS socket carries this.

    `local_masks` "blank" leaves the 19 local masks black, as the official inference script does; the
    published pictures were made so. Raises MaskError for ids that are not a label map.
    """

    ids: Tensor
    local_masks: LocalMasks = "correct"

    def __post_init__(self) -> None:
        if self.ids.ndim != 3 or self.ids.dtype != torch.uint8 or self.ids.numel() == 0:
            raise MaskError(
                f"Label maps of shape {tuple(self.ids.shape)} and {self.ids.dtype} were given; expected "
                "(batch, height, width) of torch.uint8."
            )
        if int(self.ids.max()) >= NUM_CLASSES:
            raise MaskError(f"The label map holds id {int(self.ids.max())}; CelebAMask-HQ has 0 to 18.")
        if self.local_masks not in ("correct", "blank"):
            raise MaskError(f"local_masks is {self.local_masks!r}: choose correct or blank.")

    def resized(self, height: int, width: int) -> Decoupled:
        return replace(self, ids=resize(self.ids, height, width))

    def of(self, places: Sequence[int] | None) -> Decoupled:
        """The masks at these places of the batch; None takes all of them."""
        return self if places is None else replace(self, ids=self.ids[list(places)])

    def mask_image(self, index: int, which: int) -> Tensor:
        """One mask of batch item `index` as a picture (H, W, 3) float32 in 0..1.

        `which` 0 is the full mask in the palette's colours; 1 to 19 are the classes 0 to 18, white on black.
        """
        _check_which(which)
        if which == 0:
            return colours(self.ids[index])
        return self._local(index, which).float()[..., None].repeat(1, 1, 3)

    def mask_images(self, index: int) -> Tensor:
        """All 20 masks of batch item `index`, the full one first: (20, H, W, 3) float32 in 0..1."""
        return torch.stack([self.mask_image(index, which) for which in range(NUM_MASKS)])

    def keys(self, index: int) -> tuple[bytes, ...]:
        """A digest of each of the 20 pictures of batch item `index`, without painting them.

        Two keys, of any items and sizes, are equal exactly if `mask_image` gives equal pictures, so each key needs to
        be encoded only once. All absent classes share the key of black.
        """
        return tuple(self._key(index, which) for which in range(NUM_MASKS))

    def _local(self, index: int, which: int) -> Tensor:
        if self.local_masks == "blank":
            return torch.zeros_like(self.ids[index], dtype=torch.bool)
        return self.ids[index] == which - 1

    def _key(self, index: int, which: int) -> bytes:
        shape = (self.height, self.width)
        levels = self.ids[index] if which == 0 else self._local(index, which)
        # The palette has no white, so a full and a local mask are the same picture only if both are black.
        kind = "black" if not bool(levels.any()) else "full" if which == 0 else "local"
        digest = hashlib.blake2b(f"{kind} {shape}".encode(), digest_size=16)
        if kind != "black":
            digest.update(levels.to(torch.uint8).cpu().contiguous().numpy().tobytes())
        return digest.digest()


def _check_which(which: int) -> None:
    if not 0 <= which < NUM_MASKS:
        raise MaskError(f"Mask {which} was asked for; there are the full mask, 0, and the classes', 1 to 19.")


def index_image(ids: Tensor | NDArray[np.uint8]) -> Image.Image:
    """A label map (H, W) uint8 as an indexed picture: it stores the ids and displays the palette's colours."""
    image = Image.fromarray(np.asarray(ids))
    image.putpalette([level for rgb in PALETTE for level in rgb])
    return image
