"""Landmarks: points and lines of a face in fixed colours on black, from points, a label map, or a drawing of them.

Sides are the subject's, as in the label map: `l_eye` is on the picture's right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ...masks.decode import decode_tensor
from ...masks.decouple import resize
from ...masks.labels import IDS
from .kind import Kind

Points = NDArray[np.float64]
"""(N, 2), x to the right and y downwards, in shares of the picture's width and height."""

COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "jaw": (255, 255, 255),
        "r_brow": (255, 96, 0),
        "l_brow": (255, 0, 96),
        "nose": (96, 255, 96),
        "r_eye": (0, 96, 255),
        "l_eye": (0, 255, 160),
        "lips": (255, 96, 255),
        "mouth": (160, 0, 255),
    }
)
"""The lines and their colours, none of which is a colour of the label map's palette."""

CLOSED = frozenset({"r_eye", "l_eye", "lips", "mouth"})

DLIB: Mapping[str, Sequence[int]] = MappingProxyType(
    {
        "jaw": range(0, 17),
        "r_brow": range(17, 22),
        "l_brow": range(22, 27),
        "nose": range(27, 36),
        "r_eye": range(36, 42),
        "l_eye": range(42, 48),
        "lips": range(48, 60),
        "mouth": range(60, 68),
    }
)
"""The places of the lines among dlib's 68 points (iBUG 300-W)."""

MEDIAPIPE: Mapping[str, Sequence[int]] = MappingProxyType(
    {
        "jaw": (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
                377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356),
        "r_brow": (70, 63, 105, 66, 107),
        "l_brow": (336, 296, 334, 293, 300),
        "nose": (168, 6, 197, 195, 5, 4, 98, 97, 2, 326, 327),
        "r_eye": (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
        "l_eye": (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382),
        "lips": (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
        "mouth": (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
    }
)  # fmt: skip
"""The places of the lines among MediaPipe's 468 points of its face mesh, or 478 with the irises."""

_FINE = 3


def from_points(points: Points) -> dict[str, Points]:
    """The lines through 68 points in dlib's order, or 468 or 478 in MediaPipe's.

    Raises:
        ValueError: another number of points.
    """
    places = {68: DLIB, 468: MEDIAPIPE, 478: MEDIAPIPE}.get(len(points))
    if places is None:
        raise ValueError(
            f"{len(points)} landmarks were given; expected 68 in dlib's order, or 468 or 478 in MediaPipe's. Name "
            'other points by their line, as in {"jaw": [[0.2, 0.5], ...]}.'
        )
    return {name: points[list(order), :2] for name, order in places.items()}


def read_points(text: str) -> dict[str, Points]:
    """Lines from JSON: a list of points, or a list for each line's name. Points are shares of the picture, 0 to 1.

    Raises:
        ValueError: this is not JSON, has an unknown name, or something other than points.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"The landmarks are not JSON ({error}): write [[0.2, 0.5], ...].") from error
    if isinstance(given, dict):
        if unknown := [name for name in given if name not in COLOURS]:
            raise ValueError(f"There is no line {unknown[0]!r} among landmarks; the lines are {', '.join(COLOURS)}.")
        return {name: _points(line) for name, line in given.items()}
    return from_points(_points(given))


def _points(given: Any) -> Points:
    try:
        points = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] < 2 or not np.isfinite(points).all():
        raise ValueError("Landmarks are points of two numbers each, such as [[0.2, 0.5], [0.25, 0.6]].")
    if (np.abs(points[:, :2]) > 2).any():
        raise ValueError(
            f"Landmarks are shares of the picture's width and height, 0 to 1; {points[:, :2].max():g} is among them. "
            "Divide pixels by the picture's size."
        )
    return points[:, :2]


def from_label_map(ids: NDArray[np.uint8]) -> dict[str, Points]:
    """The lines that the shapes of a label map (H, W) show; a class that is absent has no line."""
    size = np.array(ids.shape[::-1], dtype=float)
    lines = {
        "jaw": _jaw(ids),
        "nose": _nose(ids == IDS["nose"]),
        "lips": _rim(np.isin(ids, [IDS["u_lip"], IDS["l_lip"], IDS["mouth"]]), 12),
        "mouth": _rim(ids == IDS["mouth"], 8),
        **{name: _middles(ids == IDS[name], 5) for name in ("r_brow", "l_brow")},
        **{name: _rim(ids == IDS[name], 6) for name in ("r_eye", "l_eye")},
    }
    return {name: (line + 0.5) / size for name, line in lines.items() if line is not None}


def _columns(area: NDArray[np.bool_], count: int) -> NDArray[np.int64] | None:
    """`count` columns spread over an area's width; None if it is too small for a line."""
    columns = np.flatnonzero(area.any(axis=0))
    if len(columns) < 3:
        return None
    places = np.round(np.linspace(0, len(columns) - 1, count)).astype(int)
    return np.asarray(columns[places], dtype=np.int64)


def _ends(area: NDArray[np.bool_], columns: NDArray[np.int64]) -> tuple[Points, Points]:
    """The area's upper and lower end in these columns."""
    upper = area[:, columns].argmax(axis=0)
    lower = len(area) - 1 - area[::-1][:, columns].argmax(axis=0)
    return np.stack([columns, upper], 1).astype(float), np.stack([columns, lower], 1).astype(float)


def _middles(area: NDArray[np.bool_], count: int) -> Points | None:
    columns = _columns(area, count)
    return None if columns is None else np.mean(_ends(area, columns), axis=0)


def _rim(area: NDArray[np.bool_], count: int) -> Points | None:
    """The area's edge as `count` points: from its left end over the top to the right end, and back below."""
    columns = _columns(area, count // 2 + 1)
    if columns is None:
        return None
    upper, lower = _ends(area, columns)
    upper[[0, -1]] = (upper[[0, -1]] + lower[[0, -1]]) / 2
    return np.concatenate([upper, lower[-2:0:-1]])


def _nose(area: NDArray[np.bool_]) -> Points | None:
    """Down the bridge, then along the wings and the tip from left to right."""
    columns = _columns(area, 5)
    if columns is None:
        return None
    rows = np.flatnonzero(area.any(axis=1))
    # Only rows with pixels of the nose: a stray stroke or a parser's specks leave rows without any between them.
    heights = [rows[np.abs(rows - row).argmin()] for row in np.linspace(rows[0], rows[-1], 5)[:4].astype(int)]
    bridge = [(np.flatnonzero(area[row]).mean(), row) for row in heights]
    return np.concatenate([np.array(bridge, dtype=float), _ends(area, columns)[1]])


_FACE = ("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")


def _jaw(ids: NDArray[np.uint8]) -> Points | None:
    """17 points of the face's edge from ear to ear below the eyes: its outermost pixels from its middle."""
    face = np.isin(ids, [IDS[name] for name in _FACE])
    if not face.any():
        return None
    eyes = np.isin(ids, [IDS["l_eye"], IDS["r_eye"]])
    rows = np.flatnonzero((eyes if eyes.any() else face).any(axis=1))
    y, x = np.nonzero(face)
    middle = np.array([x[y >= rows[0]].mean() if (y >= rows[0]).any() else x.mean(), rows.mean()])
    steps = np.arange(0, max(ids.shape), 0.5)
    points = []
    for angle in np.linspace(np.pi, 0, 17):
        ray = middle + steps[:, None] * (np.cos(angle), np.sin(angle))
        column, row = np.round(ray).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < ids.shape[1]) & (row < ids.shape[0])
        on = np.flatnonzero(face[row[inside], column[inside]])
        points.append(ray[inside][on[-1]] if len(on) else middle)
    return np.array(points)


def draw(lines: Mapping[str, Points], size: tuple[int, int]) -> Tensor:
    """The lines with their points on black, (H, W, 3) in 0..1, at `size` (H, W)."""
    height, width = size
    sheet = Image.new("RGB", (width * _FINE, height * _FINE))
    pen = ImageDraw.Draw(sheet)
    thick = max(1, round(0.006 * min(size) * _FINE))
    for name, colour in COLOURS.items():
        if name not in lines or not len(lines[name]):
            continue
        points = lines[name] * (width * _FINE, height * _FINE)
        whole = np.concatenate([points, points[:1]]) if name in CLOSED else points
        pen.line([(float(x), float(y)) for x, y in whole], colour, thick, joint="curve")
        for x, y in points:
            pen.ellipse((x - thick, y - thick, x + thick, y + thick), colour)
    small = sheet.resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small).copy()).float() / 255


def is_drawn(images: Tensor) -> bool:
    """Whether pictures (B, H, W, 3) are drawn landmarks: nearly all is black or one of the colours, perhaps darker."""
    levels = images[..., :3].float().flatten(0, 2)
    bright = levels.amax(-1) > 0.25
    if not bright.any() or float(bright.float().mean()) > 0.4:
        return False
    shown = F.normalize(levels[bright], dim=-1)
    colours = F.normalize(_colours(shown.device), dim=-1)
    return float(((shown @ colours.T).amax(-1) > 0.985).float().mean()) > 0.9


def picture(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Label maps or drawn landmarks (B, H, W, 3) in 0..1 -> drawn landmarks (B, h, w, 3).

    Raises:
        MaskError: the input is neither.
    """
    if is_drawn(images):
        images = images[..., :3].float()
        if tuple(images.shape[1:3]) == size:
            return images
        return F.interpolate(images.movedim(-1, 1), size, mode="area").movedim(1, -1)
    ids = decode_tensor(images).ids
    return torch.stack([of_label_map(each, size) for each in ids])


def of_label_map(ids: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """The landmarks of a label map (H, W) as a picture (h, w, 3)."""
    height, width = size or (ids.shape[0], ids.shape[1])
    fine = resize(ids[None].cpu(), max(height, ids.shape[0]), max(width, ids.shape[1]))[0]
    return draw(from_label_map(fine.numpy()), (height, width))


def make(photo: Tensor, ids: Tensor, style: int) -> Tensor:
    """The landmarks (H, W, 3) of a photo's label map; there is one style."""
    return of_label_map(ids).to(photo.device)


def mirror(pictures: Tensor) -> Tensor:
    """Drawn landmarks (B, H, W, 3) of the mirrored face, in which left and right have exchanged their colours."""
    turned = pictures.flip(-2)
    colours = _colours(turned.device)
    names = list(COLOURS)
    others = [names.index({"l_": "r_", "r_": "l_"}.get(name[:2], name[:2]) + name[2:]) for name in names]
    nearest = (F.normalize(turned, dim=-1) @ F.normalize(colours, dim=-1).T).argmax(-1)
    swapped = torch.tensor(others, device=turned.device)[nearest]
    sided = (swapped != nearest)[..., None]
    brightness = turned.amax(-1, keepdim=True)
    return torch.where(sided, (colours / 255)[swapped] * brightness, turned)


def _colours(device: torch.device) -> Tensor:
    """The lines' colours (8, 3), float32 in 0..255."""
    return torch.tensor(list(COLOURS.values()), dtype=torch.float32, device=device)


KIND = Kind(
    name="landmarks",
    title="landmarks",
    about="a label map, whose shapes give the landmarks, or landmarks that are already drawn",
    picture=picture,
    make=make,
    mirror=mirror,
    is_drawn=is_drawn,
)
