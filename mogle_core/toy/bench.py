"""The toy world's benchmark: held-out faces made again from mask and words, and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..masks.labels import CLASS_NAMES, IDS
from ..model.mixture.regions import Region
from ..model.sampling.options import SamplingOptions
from ..model.stream.refresh import Refresh
from ..model.stream.region_text import PROMPT_STRENGTH
from .drawer.attributes import HAIR_COLOURS
from .drawer.captions import without_hair
from .drawer.faceset import FaceSet
from .judge import describe, parse
from .score import change_ratio, class_scores, frechet, hair_right, mask_score
from .world import DEFAULTS, World, generate


def remake(
    world: World,
    faces: FaceSet,
    masked: bool = True,
    options: SamplingOptions = DEFAULTS,
    batch: int = 20,
    hair_prompts: Sequence[str] = (),
    prompt_strength: float = PROMPT_STRENGTH,
) -> Tensor:
    """Pictures (N, H, W, 3) uint8 from the faces' captions and, if `masked`, their label maps.

    hair_prompts: one for each face's hair, or none; prompt_strength: how much of the caption that hair still sees.
    """
    pictures = []
    for first in tqdm(range(0, len(faces), batch), desc="faces", leave=False, disable=None):
        some = slice(first, first + batch)
        ids = torch.from_numpy(faces.ids[some]) if masked else None
        seeds = range(first, first + len(faces.captions[some]))
        hair = {"hair": hair_prompts[some]} if hair_prompts else None
        pictures.append(
            generate(
                world,
                ids,
                faces.captions[some],
                list(seeds),
                options,
                region_prompts=hair,
                prompt_strength=prompt_strength,
            )
        )
    return torch.cat(pictures)


def measure(world: World, faces: FaceSet, masked: bool = True, options: SamplingOptions = DEFAULTS) -> dict[str, float]:
    """Mask score, hair colour and Fréchet distance of the remade faces."""
    return score_pictures(world, remake(world, faces, masked, options), faces)


def score_pictures(world: World, pictures: Tensor, faces: FaceSet) -> dict[str, float]:
    """Of pictures (N, H, W, 3) uint8 that were to show these faces.

    The hair is looked for where the picture has it: a face without a mask has it elsewhere.
    """
    wanted, drawn = torch.from_numpy(faces.ids), torch.from_numpy(faces.pictures)
    found = parse(world.judge, pictures.to(world.device)).cpu()
    features = (describe(world.judge, part.to(world.device)).cpu() for part in (pictures, drawn))
    return {
        "mask": float(mask_score(found, wanted).mean()),
        "hair": hair_right(pictures, found, [face.hair_colour for face in faces.attributes]),
        "frechet": frechet(*features),
    }


def score_classes(world: World, pictures: Tensor, faces: FaceSet) -> Mapping[str, float]:
    """Mean IoU of each class over the faces that have it."""
    found = parse(world.judge, pictures.to(world.device)).cpu()
    scores = class_scores(found, torch.from_numpy(faces.ids)).nanmean(dim=0)
    return {name: float(score) for name, score in zip(CLASS_NAMES, scores, strict=True)}


def repainted(faces: FaceSet) -> FaceSet:
    """The same faces with the hair's upper edge lowered: its topmost fifth becomes background."""
    ids = faces.ids.copy()
    for own in ids:
        rows = np.flatnonzero((own == IDS["hair"]).any(axis=1))
        if len(rows):
            top = own[rows[0] : rows[0] + max(3, len(rows) // 5)]
            top[top == IDS["hair"]] = IDS["background"]
    return replace(faces, ids=ids)


def local_change(world: World, faces: FaceSet, options: SamplingOptions = DEFAULTS) -> float:
    """How much more a picture changes inside a repainted region than outside it: the median of the faces."""
    changed = repainted(faces)
    before = remake(world, faces, options=options)
    after = remake(world, changed, options=options)
    where = torch.from_numpy(faces.ids != changed.ids)
    ratios = [change_ratio(*each) for each in zip(before, after, where, strict=True) if each[2].any()]
    return float(torch.tensor(ratios).median())


def hairless(faces: FaceSet) -> FaceSet:
    """The same faces, with nothing said of their hair."""
    pairs = zip(faces.captions, faces.attributes, strict=True)
    return replace(faces, captions=tuple(without_hair(*pair) for pair in pairs))


def recoloured(faces: FaceSet, colours: Sequence[str]) -> list[str]:
    """The faces' captions with hair of other colours."""
    told = zip(faces.captions, faces.attributes, colours, strict=True)
    return [caption.replace(f"{face.hair_colour} hair", f"{colour} hair") for caption, face, colour in told]


def region_colour(
    world: World,
    held: FaceSet,
    prompt: str | None = "{} hair",
    options: SamplingOptions = DEFAULTS,
    prompt_strength: float = PROMPT_STRENGTH,
) -> dict[str, float]:
    """How often the hair has the colour that its region prompt asks for; the caption is silent on hair.

    The eight colours are asked for in turn, whatever the drawn face had, by `prompt`; None asks by the face's
    own caption, told of that colour: whole sentences are what the toy's text encoder has learnt. "asked" is the
    share with the prompt, "unasked" with none: what chance gives. "elsewhere" is the mean change of the other
    pixels between the two, "there" that of the hair's, in grey levels.
    """
    colours = [list(HAIR_COLOURS)[number % len(HAIR_COLOURS)] for number in range(len(held))]
    silent, ids = hairless(held), torch.from_numpy(held.ids)
    prompts = recoloured(held, colours) if prompt is None else [prompt.format(each) for each in colours]
    asked = remake(world, silent, options=options, hair_prompts=prompts, prompt_strength=prompt_strength)
    unasked = remake(world, silent, options=options)
    change, hair = (asked.float() - unasked.float()).abs().mean(dim=-1), ids == IDS["hair"]
    return {
        "asked": hair_right(asked, ids, colours),
        "unasked": hair_right(unasked, ids, colours),
        "there": float(change[hair].mean()),
        "elsewhere": float(change[~hair].mean()),
    }


def region_control(
    world: World, held: FaceSet, controls: Sequence[Region], options: SamplingOptions = DEFAULTS
) -> list[dict[str, float]]:
    """What Region Control moves: the region's mean IoU, and the others' change, at each of these settings.

    For each control, beside its "strength", "start" and "end": "region" is the mean IoU of its class over the
    faces that have it, "others" the mean over the other classes, "change" the largest change of one of them
    from no control at all.
    """
    plain = score_classes(world, remake(world, held, options=options), held)
    rows = []
    for control in controls:
        found = score_classes(world, remake(world, held, options=replace(options, regions=(control,))), held)
        # A class that no face has is NaN.
        others = [name for name in CLASS_NAMES if name != control.name and plain[name] == plain[name]]
        rows.append(
            {
                "strength": control.strength,
                "start": control.start_percent,
                "end": control.end_percent,
                "region": found[control.name],
                "others": sum(found[name] for name in others) / len(others),
                "change": max(abs(found[name] - plain[name]) for name in others),
            }
        )
    return rows


def hair_controls() -> tuple[Region, ...]:
    """Hair at strength 0, 0.5 and 1, and at 0 from the start on for a quarter, a half, ... of the sampling."""
    windows = (Region("hair", 0.0, 0.0, end) for end in (0.25, 0.5, 0.75, 1.0))
    return (*(Region("hair", strength) for strength in (0.0, 0.5, 1.0)), *windows)


SPEED_OPTIONS: Mapping[str, SamplingOptions] = {
    **{f"`refresh_every` {every}": replace(DEFAULTS, refresh=Refresh(every)) for every in (2, 4, 8)},
    "`refresh_every` 4, `dense early`": replace(DEFAULTS, refresh=Refresh(4, "dense early")),
    "`mask_tokens` half": replace(DEFAULTS, mask_tokens="half"),
}


def speed_prices(
    world: World,
    held: FaceSet,
    options: Mapping[str, SamplingOptions] = SPEED_OPTIONS,
    exact: SamplingOptions = DEFAULTS,
) -> dict[str, dict[str, float]]:
    """What each speed option costs: the exact pictures' scores, then its own, and how far it moves their colours.

    "colour" is the mean over pictures and channels of a picture's change in mean colour, of 255.
    """
    reference = remake(world, held, options=exact)
    rows = {"exact": score_pictures(world, reference, held) | {"colour": 0.0}}
    for name, chosen in options.items():
        made = remake(world, held, options=chosen)
        moved = (made.float() - reference.float()).mean(dim=(1, 2)).abs().mean()
        rows[name] = score_pictures(world, made, held) | {"colour": float(moved)}
    return rows
