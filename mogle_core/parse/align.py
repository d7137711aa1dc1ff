"""The framing of aligned portraits: a square box around a face, cut out of a photo and pasted back.

Coordinates are a photo's pixels from its upper left corner, so that pixel (0, 0) has its centre at
(0.5, 0.5). All is computed in float64: a box on whole pixels at scale 1 is cut out and put back to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..masks.decode import MaskError
from ..masks.decouple import resize
from ..masks.parts import BROWS, EYES, GLASSES, MOUTH, NOSE, SKIN, Part, centre, is_part

YUNET = "OpenCV's face_detection_yunet_2023mar.onnx (github.com/opencv/opencv_zoo) into models/face_detection"

Point = tuple[float, float]

_FACE = SKIN + NOSE + GLASSES + EYES + BROWS + MOUTH


@dataclass(frozen=True)
class Landmarks:
    """The places of eyes and mouth in a photo. The left eye is the subject's, on the picture's right."""

    left_eye: Point
    right_eye: Point
    mouth: Point


@dataclass(frozen=True)
class Crop:
    """A square of a photo: its centre (x, y) and side in pixels, and its turn in radians, clockwise as seen.

    width, height: of the photo. A MOGLE_CROP socket carries a tuple of crops.
    """

    centre: Point
    side: float
    angle: float
    width: int
    height: int


def crop_of_landmarks(landmarks: Landmarks, width: int, height: int) -> Crop:
    """The framing of CelebA-HQ and FFHQ (Karras et al., 2018, appendix C; 2019).

    Its axis is the mean of the eyes' line and the perpendicular of the line from eyes to mouth; its side is the larger
    of four times the eyes' distance and 3.6 times the distance from eyes to mouth.
    """
    left, right, mouth = (complex(*point) for point in (landmarks.left_eye, landmarks.right_eye, landmarks.mouth))
    eyes, between = (left + right) / 2, left - right
    down = mouth - eyes
    axis = between - 1j * down  # x + iy with y downwards: times i is a quarter turn clockwise
    side = max(4.0 * abs(between), 3.6 * abs(down))
    if abs(axis) < 1e-6 or side < 1:
        raise MaskError("Eyes and mouth lie on one point, so there is no face to align: use a larger picture.")
    centre = eyes + 0.1 * down
    return Crop((centre.real, centre.imag), side, math.atan2(axis.imag, axis.real), width, height)


def crop_of_mask(ids: Tensor) -> Crop:
    """The framing of a parsed face (H, W): by eyes and mouth, or upright around the skin if one of them is hidden.

    Raises MaskError where there is no face.
    """
    height, width = ids.shape
    eyes = sorted(place for place in (_place(ids, (eye,)) for eye in EYES) if place)
    mouth = _place(ids, MOUTH)
    if len(eyes) == 2 and mouth:
        # By position: a parser may have mixed up left and right.
        return crop_of_landmarks(Landmarks(eyes[1], eyes[0], mouth), width, height)
    face = _place(ids, _FACE)
    if face is None:
        raise MaskError(
            "The mask shows no face (no skin, eyes or mouth), so there is nothing to align. Look at Parse Face's "
            "preview, or cut the photo roughly to the head first."
        )
    area = int(is_part(ids, _FACE).sum())
    side = 2 * math.sqrt(area)  # as in aligned portraits, of which the bare face covers a quarter
    return Crop((face[0], face[1] - 0.06 * side), side, 0.0, width, height)


def find_crops(landmarks: Sequence[Landmarks | None] | None, ids: Tensor | None, photos: Tensor) -> tuple[Crop, ...]:
    """The framing of each photo (B, H, W, C): by its landmarks, otherwise by its label map.

    landmarks: of each photo, or None where the detector saw no face; None as a whole without a detector.
    ids: (B, H, W) or None. Raises MaskError if neither shows a face.
    """
    height, width = photos.shape[1:3]
    crops = []
    for index, marks in enumerate(landmarks or [None] * len(photos)):
        if marks is not None:
            crops.append(crop_of_landmarks(marks, width, height))
        elif ids is not None:
            crops.append(crop_of_mask(ids[index]))
        else:
            raise MaskError(_nothing_to_find(landmarks is not None, index))
    return tuple(crops)


def _nothing_to_find(looked: bool, index: int) -> str:
    remedy = "connect Parse Face's mask to Align Face's mask, with detector auto or mask"
    if looked:
        return f"YuNet finds no face in picture {index + 1}: {remedy}, or use a photo that shows the whole face."
    return f"Align Face has nothing to find the face by: {remedy}, or put {YUNET}."


def _place(ids: Tensor, part: Part) -> Point | None:
    """The part's centre in photo coordinates, where a pixel's centre is half a pixel from its corner."""
    middle = centre(ids, part)
    return middle and (middle[0] + 0.5, middle[1] + 0.5)


def fitted(ids: Tensor, photos: Tensor) -> Tensor:
    """Label maps (1 or B, h, w) for photos (B, H, W, C): (B, H, W). Raises MaskError for another number."""
    if len(ids) not in (1, len(photos)):
        raise MaskError(
            f"Align Face was given {len(ids)} masks and {len(photos)} pictures: give one mask, or one for each."
        )
    return resize(ids, *photos.shape[1:3]).expand(len(photos), -1, -1)


def matched(pictures: Tensor, photos: Tensor, crops: tuple[Crop, ...]) -> tuple[Tensor, Tensor, tuple[Crop, ...]]:
    """Equal numbers of faces, photos and crops: single ones are repeated. The photos get the sizes of the crops.

    Raises MaskError if they cannot belong together.
    """
    count = max(len(pictures), len(photos), len(crops))
    if {len(pictures), len(photos), len(crops)} - {1, count}:
        raise MaskError(
            f"Unalign Face was given {len(pictures)} faces, {len(photos)} photos and {len(crops)} crops: give one "
            "of each, or as many as of the others."
        )
    if pictures.shape[1] != pictures.shape[2]:
        raise MaskError(
            f"Unalign Face was given a face of {pictures.shape[2]}x{pictures.shape[1]} pixels; an aligned one is "
            "square. Make it at the size of Align Face."
        )
    height, width = photos.shape[1:3]
    if other := [crop for crop in crops if (crop.width, crop.height) != (width, height)]:
        raise MaskError(
            f"The crop was cut out of a photo of {other[0].width}x{other[0].height} pixels, but this photo has "
            f"{width}x{height}: connect the one that went into Align Face."
        )
    photos, pictures = photos.expand(count, -1, -1, -1), pictures.expand(count, -1, -1, -1).to(photos)
    return pictures, photos, crops if len(crops) == count else crops * count


def align(pictures: Tensor, crops: tuple[Crop, ...], size: int) -> Tensor:
    """Cut the boxes out of photos (B, H, W, C): (B, size, size, C).

    Beyond the photo, its border is repeated. When the photo is shrunk, each pixel is the mean of samples that are
    at most one photo pixel apart.
    """
    return torch.stack([_cut(photo, crop, size) for photo, crop in zip(pictures, crops, strict=True)])


def _cut(photo: Tensor, crop: Crop, size: int) -> Tensor:
    finer = max(1, math.ceil(crop.side / size - 1e-9))
    return _shrunk(sample(photo, *_in_photo(crop, size * finer)), finer)


def align_ids(ids: Tensor, crops: tuple[Crop, ...], size: int) -> Tensor:
    """Cut the same boxes out of label maps (B, H, W) uint8, by nearest neighbour: (B, size, size)."""
    cut = []
    for face, crop in zip(ids, crops, strict=True):
        x, y = (values.floor().long() for values in _in_photo(crop, size))
        cut.append(face[y.clamp(0, face.shape[0] - 1), x.clamp(0, face.shape[1] - 1)])
    return torch.stack(cut)


def unalign(pictures: Tensor, photos: Tensor, crops: tuple[Crop, ...], feather: float = 0.1) -> Tensor:
    """Paste squares (N, S, S, C) back into their photos (N, H, W, C) with a soft seam.

    feather: width of the seam inside the box, as a share of its side; 0 is a hard edge. Pixels outside the box
    keep their exact values.
    """
    return torch.stack(
        [_paste(square, photo, crop, feather) for square, photo, crop in zip(pictures, photos, crops, strict=True)]
    )


def _paste(square: Tensor, photo: Tensor, crop: Crop, feather: float) -> Tensor:
    rows, columns = _window(crop)
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return photo.clone()
    size = square.shape[0]
    finer = max(1, math.ceil(size / crop.side - 1e-9))
    x, y = _grid(columns, finer, photo.device), _grid(rows, finer, photo.device)
    found = _shrunk(sample(square, *_in_square(crop, size, x[None, :], y[:, None])), finer)
    centres = _grid(columns, 1, photo.device)[None, :], _grid(rows, 1, photo.device)[:, None]
    alpha = _opacity(*_in_square(crop, 1, *centres), feather)[..., None]
    pasted = photo.clone()
    under = pasted[rows[0] : rows[1], columns[0] : columns[1]]
    # Pixels that are entirely face or entirely photo bypass the blend, so that they are not rounded.
    blended = torch.where(alpha < 1, under + alpha.to(photo.dtype) * (found - under), found)
    pasted[rows[0] : rows[1], columns[0] : columns[1]] = torch.where(alpha > 0, blended, under)
    return pasted


def _shrunk(picture: Tensor, times: int) -> Tensor:
    """The mean of each square of pixels: (H * times, W * times, C) -> (H, W, C)."""
    height, width, channels = picture.shape
    return picture.view(height // times, times, width // times, times, channels).mean((1, 3)) if times > 1 else picture


def sample(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A picture (H, W, C) at points (h, w), bilinear between pixel centres; outside, its border is repeated."""
    height, width = picture.shape[:2]
    x, y = x - 0.5, y - 0.5
    left, top = x.floor(), y.floor()
    columns = [(left + step).long().clamp(0, width - 1) for step in (0, 1)]
    rows = [(top + step).long().clamp(0, height - 1) for step in (0, 1)]
    across, down = ((x - left)[..., None].to(picture), (y - top)[..., None].to(picture))
    upper, lower = (picture[row, columns[0]] * (1 - across) + picture[row, columns[1]] * across for row in rows)
    return upper * (1 - down) + lower * down


def _in_photo(crop: Crop, size: int) -> tuple[Tensor, Tensor]:
    """The photo coordinates of the pixel centres in a square of `size` pixels: x and y, (size, size)."""
    steps = (torch.arange(size, dtype=torch.float64) + 0.5 - size / 2) * (crop.side / size)
    right, down = steps[None, :], steps[:, None]
    cos, sin = math.cos(crop.angle), math.sin(crop.angle)
    return crop.centre[0] + cos * right - sin * down, crop.centre[1] + sin * right + cos * down


def _in_square(crop: Crop, size: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates of photo points in a square of `size` pixels; the inverse of `_in_photo`."""
    cos, sin, scale = math.cos(crop.angle), math.sin(crop.angle), size / crop.side
    right, down = x - crop.centre[0], y - crop.centre[1]
    return (cos * right + sin * down) * scale + size / 2, (cos * down - sin * right) * scale + size / 2


def _window(crop: Crop) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last (exclusive) row and column of the photo that the box can touch."""
    reach = crop.side / 2 * (abs(math.cos(crop.angle)) + abs(math.sin(crop.angle)))
    limits = ((crop.centre[1], crop.height), (crop.centre[0], crop.width))
    rows, columns = (
        (max(0, math.floor(middle - reach)), min(length, math.ceil(middle + reach))) for middle, length in limits
    )
    return rows, columns


def _grid(span: tuple[int, int], finer: int, device: torch.device) -> Tensor:
    steps = torch.arange((span[1] - span[0]) * finer, dtype=torch.float64, device=device)
    return span[0] + (steps + 0.5) / finer


def _opacity(x: Tensor, y: Tensor, feather: float) -> Tensor:
    """Of points of the unit square: 0 outside, rising smoothly over `feather` from its edge to 1."""
    inside = torch.minimum(torch.minimum(x, 1 - x), torch.minimum(y, 1 - y))
    if feather <= 0:
        return (inside > 0).double()
    share = (inside / feather).clamp(0, 1)
    return share * share * (3 - 2 * share)
