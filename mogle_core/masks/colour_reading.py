"""Reads pictures whose colours are classes: detects the palette, and handles colours that are not in it.

Exact palette colours stay as they are. Near ones count if they form an area. Blended edges take the class of the
nearest pixel. A colour that fills a region but is not in any palette is an error and never takes a neighbour's class.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from .channels import FLAT, refuse_dark, refuse_near_twins, refuse_several_blacks
from .errors import MaskError, about, percent
from .halves import split_sides
from .label_map import LabelMap, mapped
from .label_space import MARGIN, evidence, layout
from .labels import LABEL_SPACES
from .palettes import PALETTES, Palette

logger = logging.getLogger(__name__)

MAX_OFF_PALETTE = 0.05
"""The share of the drawn pixels without a palette colour above which a picture is not a label map."""

MAX_BLENDED = 0.25
"""The same limit for a small face that only loses blended edges, if these are under 5 % of the picture."""

REGION = 0.0002
"""The share of a picture from which a colour fills a region, in pixels that form 3x3 squares of it."""

_UNKNOWN = 255
_SORTED = 1 << 21  # up to this many pixels, sorting is the fastest way to the distinct colours


class PaletteError(MaskError):
    """The mask is drawn in `palette`, which contradicts the chosen label space."""

    def __init__(self, sentence: str, palette: str) -> None:
        super().__init__(sentence)
        self.palette = palette


@dataclass(frozen=True)
class _Colours:
    """The distinct colours of pictures: `rgb` (N, 3), and each pixel's number among them (B, H, W)."""

    rgb: Tensor
    index: Tensor

    @classmethod
    def of(cls, pictures: Tensor) -> _Colours:
        red, green, blue = pictures.int().unbind(-1)
        packed = (red << 16 | green << 8 | blue).long()
        if packed.numel() < _SORTED:
            # A label map has long runs of one colour, so little is left to sort.
            runs, run_of = torch.unique_consecutive(packed, return_inverse=True)
            colours, colour_of = torch.unique(runs, return_inverse=True)
            return cls(torch.stack((colours >> 16, colours >> 8 & 255, colours & 255), -1), colour_of[run_of])
        # Above, a table of all 2^24 colours is faster.
        place = torch.zeros(1 << 24, dtype=torch.int32, device=pictures.device)
        place[packed.flatten()] = 1
        colours = place.nonzero()[:, 0]
        place[colours] = torch.arange(len(colours), dtype=torch.int32, device=pictures.device)
        rgb = torch.stack((colours >> 16, colours >> 8 & 255, colours & 255), -1)
        return cls(rgb, place[packed].long())

    def filling(self) -> Tensor:
        """(N,), how many pixels of each colour lie in a 3x3 square of that colour."""
        index = self.index
        squares = (_highest(index) == -_highest(-index)).float()
        if min(index.shape[1:]) >= 3:  # the window is cut at the frame, because a square has to fit inside the picture
            squares[:, [0, -1]] = 0
            squares[:, :, [0, -1]] = 0
        return torch.bincount(index[_highest(squares) > 0], minlength=len(self.rgb))


@dataclass(frozen=True)
class _Reading:
    """The colours as one palette reads them: the id of each, 255 without one, and whether the colour is exact."""

    palette: Palette
    exchanged: bool
    ids: Tensor
    exact: Tensor

    @property
    def title(self) -> str:
        return self.palette.title + (" with red and blue exchanged" if self.exchanged else "")

    def suits(self, label_space: str) -> bool:
        return self.palette.space is None or label_space in ("auto", self.palette.space)

    def space(self, label_space: str) -> str:
        return label_space if label_space != "auto" else self.palette.space or "celebamask"


def from_colours(rgb: Tensor, label_space: str) -> LabelMap:
    """Label maps of pictures (B, H, W, 3) uint8 that are not grey. Raises MaskError."""
    refuse_dark(rgb)
    colours = _Colours.of(rgb)
    reading = _best(colours, label_space)
    ids, exact = reading.ids.to(torch.uint8)[colours.index], reading.exact[colours.index]
    lost = ids == _UNKNOWN
    _refuse_lost(lost, ids, reading)
    if not bool(exact.all()):
        ids = _by_neighbours(ids, _trusted(ids, exact))
    snapped, off_palette = (~exact & ~lost).float().mean().item(), lost.float().mean().item()
    if off_palette > 0:
        logger.warning(
            "%s%s of the mask's pixels have no palette colour and take their neighbours' class. Resize masks "
            "by nearest neighbour and store them as PNG.",
            about(),
            percent(off_palette),
        )
    space = reading.space(label_space)
    if reading.palette is not PALETTES[0] or reading.exchanged:
        logger.info("The mask is drawn in %s: read as %s.", reading.title, space)
    title = None if reading.palette is PALETTES[0] and not reading.exchanged else reading.title
    result = mapped(ids, space)
    if reading.palette.merged:
        result = split_sides(result, reading.palette.merged)
    return LabelMap(result, space, snapped, off_palette, title)


def _best(colours: _Colours, label_space: str) -> _Reading:
    """The reading that explains every colour that forms a region. Raises MaskError if there is none."""
    readings = [_read(colours, palette) for palette in PALETTES]
    if bool(readings[0].exact.all()) and readings[0].suits(label_space):
        return readings[0]
    filling = colours.filling()
    blended = len(colours.rgb) > FLAT
    regions = filling >= (max(9, REGION * colours.index.numel()) if blended else 9)
    refuse_several_blacks(colours.rgb, filling * regions, colours.index.numel())
    # OpenCV writes blue first, so the same tables are also tried with red and blue exchanged.
    readings += [_read(colours, palette, exchanged=True) for palette in PALETTES]
    whole = [r for r in readings if not bool((r.ids[regions] == _UNKNOWN).any()) and _explains(r, colours)]
    suited = [reading for reading in whole if reading.suits(label_space)]
    if whole and not suited:
        space = whole[0].palette.space
        raise PaletteError(
            f"The mask is drawn in {whole[0].title}, but label space {label_space} was chosen: choose auto or {space}.",
            whole[0].title,
        )
    if suited:
        likeliest = _likeliest(suited, colours, label_space)
        refuse_near_twins(colours.rgb, likeliest.ids, filling * regions)
        return likeliest
    straight = [reading for reading in readings if reading.suits(label_space) and not reading.exchanged]
    closest = min(straight, key=lambda reading: int(filling[reading.ids == _UNKNOWN].sum()))
    raise MaskError(_foreign_colours(closest, colours, filling * regions))


def _explains(reading: _Reading, colours: _Colours) -> bool:
    """Whether the palette has the colours of most drawn pixels. A photo has few of them, even without regions."""
    counts = torch.bincount(colours.index.flatten(), minlength=len(colours.rgb))
    drawn = reading.ids != 0
    lost = counts[reading.ids == _UNKNOWN].sum()
    return bool(lost <= MAX_BLENDED * counts[drawn].sum()) or reading.palette is PALETTES[0] and not reading.exchanged


def _read(colours: _Colours, palette: Palette, exchanged: bool = False) -> _Reading:
    entries = palette.entries
    listed = torch.tensor([rgb for rgb, _ in entries], dtype=torch.float32, device=colours.rgb.device)
    numbers = torch.tensor([number for _, number in entries], device=colours.rgb.device)
    rgb = colours.rgb.float()
    if exchanged:
        listed = listed.flip(1)
    # Entry by entry, because one product would need the memory of a photo's colours times the table.
    distance, nearest = torch.stack([(rgb - colour).norm(dim=-1) for colour in listed]).min(0)
    ids = torch.where(distance < palette.tolerance, numbers[nearest], _UNKNOWN)
    return _Reading(palette, exchanged, ids, distance == 0)


def _likeliest(readings: list[_Reading], colours: _Colours, label_space: str) -> _Reading:
    """The first of several palettes that have all colours, unless another one looks clearly more like a face."""
    readings = [reading for reading in readings if bool(reading.exact.all())] or readings
    first = readings[0]
    others = [reading for reading in readings[1:] if not torch.equal(reading.ids, first.ids)]
    if not others:
        return first

    def looks(reading: _Reading) -> float:
        raw = reading.ids[colours.index]
        raw = torch.where(raw == _UNKNOWN, 0, raw)
        table = LABEL_SPACES[reading.space(label_space)]
        return sum(evidence(layout(raw).renamed(table))) if int(raw.max()) < len(table) else -1.0

    best = max(others, key=looks)
    return best if looks(best) - max(0.0, looks(first)) >= MARGIN else first


def _foreign_colours(reading: _Reading, colours: _Colours, filling: Tensor) -> str:
    """The message that names the regions' colours outside of all palettes, the largest first, or says it is a photo."""
    counts = torch.bincount(colours.index.flatten(), minlength=len(colours.rgb))
    unknown = reading.ids == _UNKNOWN
    drawn = int(counts[reading.ids != 0].sum())
    order = (filling * unknown).argsort(descending=True)[: int((filling * unknown > 0).sum())]
    named = ", ".join(f"{tuple(colours.rgb[i].tolist())} on {percent(int(counts[i]) / drawn)}" for i in order[:3])
    more = f" and {len(order) - 3} more" if len(order) > 3 else ""
    if not named:
        return _photo(int(counts[unknown].sum()) / drawn, reading)
    return (
        f"The mask has regions in colours that are not in {reading.title}: {named} of the drawn pixels{more}. Known "
        f"are {', '.join(palette.title for palette in PALETTES)}. Recolour these regions, or save the mask as class "
        "ids and choose their label space."
    )


def _photo(share: float, reading: _Reading) -> str:
    return (
        f"{percent(share)} of the mask's pixels have no colour of {reading.title} (5 % may): "
        "this looks like a photo, or a mask that was resized smoothly or stored lossily. Use a label map "
        "in that palette, or parse the photo with Parse Face first."
    )


def _refuse_lost(lost: Tensor, ids: Tensor, reading: _Reading) -> None:
    """Refuse by picture, since one bad picture of a batch must not hide among good ones."""
    missing = lost.flatten(1).sum(1)
    drawn = (ids != 0).flatten(1).sum(1).clamp_min(1)
    of_drawn, of_all = missing / drawn, missing / lost[0].numel()
    # In a small face, the edges alone are a large share of the drawn pixels.
    refused = (of_drawn > MAX_BLENDED) | (of_all > MAX_OFF_PALETTE)
    if bool(refused.any()):
        raise MaskError(_photo(of_drawn[refused].max().item(), reading))


def _trusted(ids: Tensor, exact: Tensor) -> Tensor:
    """Pixels inside some 3x3 square of one class, and exact ones that touch only exact ones.

    Halfway from cloth's green to black, a blended edge passes through the necklace's colour, sometimes exactly. That
    line is too thin for such a square, and a drawn region is not.
    """
    square = _highest(ids) == -_highest(-ids.float())
    return (_highest(square) > 0) | (_highest(~exact) == 0)


def _highest(values: Tensor) -> Tensor:
    """The largest of each pixel's 3x3 neighbourhood, (B, H, W) float32."""
    return torch.nn.functional.max_pool2d(values.float(), 3, stride=1, padding=1)


def _by_neighbours(ids: Tensor, trusted: Tensor) -> Tensor:
    filled = _fill(torch.where(trusted, ids, _UNKNOWN))
    # A picture too small for a 3x3 square has no trusted pixel, so its near colours are used.
    return _fill(torch.where(filled == _UNKNOWN, ids, filled))


def _fill(ids: Tensor) -> Tensor:
    """Give each unknown pixel the class of the nearest known one. A picture without known pixels stays as it is."""
    # Imported here because scipy takes long to import and exact masks, which most are, do not need it.
    from scipy.ndimage import distance_transform_edt

    result = ids.cpu().numpy().copy()
    for face in result:
        unknown = face == _UNKNOWN
        if unknown.any() and not unknown.all():
            nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
            face[unknown] = face[tuple(nearest)][unknown]
    return torch.from_numpy(result).to(ids.device)
