"""The toy world's benchmark: generates held-out faces from their masks and captions, and scores them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..masks.labels import CLASS_NAMES, IDS
from ..model.mixture.mask_latents import LatentCache
from ..model.mixture.regions import Region
from ..model.sampling.options import SamplingOptions
from ..model.sampling.sampler import Moment, Record
from ..model.stream.key_forms import KeyForm
from ..model.stream.refresh import Refresh
from ..model.stream.region_text import PROMPT_STRENGTH
from .drawer.attributes import HAIR_COLOURS
from .drawer.captions import without_hair
from .drawer.faceset import FaceSet
from .judge import describe, parse
from .score import change_ratio, class_scores, frechet, hair_right, mask_score
from .world import DEFAULTS, World, generate

NOISES_APART = 100_000
"""Between the seeds of a face's noises."""


def remake(
    world: World,
    faces: FaceSet,
    masked: bool = True,
    options: SamplingOptions = DEFAULTS,
    batch: int = 20,
    hair_prompts: Sequence[str] = (),
    prompt_strength: float = PROMPT_STRENGTH,
    noise: int = 0,
    record: Record | None = None,
    cache: LatentCache | None = None,
    sketches: Tensor | None = None,
) -> Tensor:
    """Pictures (N, H, W, 3) uint8 from the faces' captions and, if `masked`, their label maps.

    hair_prompts: the prompt of each face's hair, or None. prompt_strength: how much of the caption the hair still sees.
    noise: which of many noises each face starts from. record, cache: as in `world.generate`.
    sketches: (N, H, W) uint8, for a network with an expert for them.
    """
    pictures = []
    for first in tqdm(range(0, len(faces), batch), desc="faces", leave=False, disable=None):
        some = slice(first, first + batch)
        ids = torch.from_numpy(faces.ids[some]) if masked else None
        start = noise * NOISES_APART + first
        seeds = range(start, start + len(faces.captions[some]))
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
                record=record,
                cache=cache,
                sketches=None if sketches is None else sketches[some],
            )
        )
    return torch.cat(pictures)


def measure(world: World, faces: FaceSet, masked: bool = True, options: SamplingOptions = DEFAULTS) -> dict[str, float]:
    """Mask score, hair colour and Fréchet distance of the remade faces."""
    return score_pictures(world, remake(world, faces, masked, options), faces)


def score_pictures(world: World, pictures: Tensor, faces: FaceSet) -> dict[str, float]:
    """The scores of pictures (N, H, W, 3) uint8 that were generated from these faces.

    The hair colour is read where the judge sees hair in the picture: without a mask, hair may be anywhere.
    """
    masks, drawn = torch.from_numpy(faces.ids), torch.from_numpy(faces.pictures)
    parsed = parse(world.judge, pictures.to(world.device)).cpu()
    features = (describe(world.judge, part.to(world.device)).cpu() for part in (pictures, drawn))
    return {
        "mask": float(mask_score(parsed, masks).mean()),
        "hair": hair_right(pictures, parsed, [face.hair_colour for face in faces.attributes]),
        "frechet": frechet(*features),
    }


def score_classes(world: World, pictures: Tensor, faces: FaceSet) -> Mapping[str, float]:
    """Mean IoU of each class over the faces that have it."""
    parsed = parse(world.judge, pictures.to(world.device)).cpu()
    scores = class_scores(parsed, torch.from_numpy(faces.ids)).nanmean(dim=0)
    return {name: float(score) for name, score in zip(CLASS_NAMES, scores, strict=True)}


def repainted(faces: FaceSet) -> FaceSet:
    """The same faces with lower hair: the topmost fifth of the hair becomes background."""
    ids = faces.ids.copy()
    for label_map in ids:
        rows = np.flatnonzero((label_map == IDS["hair"]).any(axis=1))
        if len(rows):
            top = label_map[rows[0] : rows[0] + max(3, len(rows) // 5)]
            top[top == IDS["hair"]] = IDS["background"]
    return replace(faces, ids=ids)


def local_change(world: World, faces: FaceSet, options: SamplingOptions = DEFAULTS) -> float:
    """How much more a picture changes inside a repainted region than outside it: the median over the faces."""
    changed = repainted(faces)
    before = remake(world, faces, options=options)
    after = remake(world, changed, options=options)
    where = torch.from_numpy(faces.ids != changed.ids)
    ratios = [change_ratio(*each) for each in zip(before, after, where, strict=True) if each[2].any()]
    return float(torch.tensor(ratios).median())


def hairless(faces: FaceSet) -> FaceSet:
    """The same faces; their captions do not mention hair."""
    pairs = zip(faces.captions, faces.attributes, strict=True)
    return replace(faces, captions=tuple(without_hair(*pair) for pair in pairs))


def recoloured(faces: FaceSet, colours: Sequence[str]) -> list[str]:
    """The faces' captions with these hair colours instead."""
    rows = zip(faces.captions, faces.attributes, colours, strict=True)
    return [caption.replace(f"{face.hair_colour} hair", f"{colour} hair") for caption, face, colour in rows]


def region_colour(
    world: World,
    faces: FaceSet,
    prompt: str | None = "{} hair",
    options: SamplingOptions = DEFAULTS,
    prompt_strength: float = PROMPT_STRENGTH,
) -> dict[str, float]:
    """How often the hair has the colour that its region prompt asks for. The caption does not mention hair.

    The faces take the eight colours in turn, whatever colour was drawn. `prompt` names the colour; with None the
    prompt is the face's own caption with that colour, since the toy's text encoder has learnt whole sentences.
    "asked" is the share of right colours with the prompt, "unasked" the share without it, which is chance. "there"
    is the mean change of the hair's pixels between the two, "elsewhere" that of all other pixels, in grey levels.
    """
    colours = [list(HAIR_COLOURS)[number % len(HAIR_COLOURS)] for number in range(len(faces))]
    silent, ids = hairless(faces), torch.from_numpy(faces.ids)
    prompts = recoloured(faces, colours) if prompt is None else [prompt.format(each) for each in colours]
    prompted = remake(world, silent, options=options, hair_prompts=prompts, prompt_strength=prompt_strength)
    plain = remake(world, silent, options=options)
    change, hair = (prompted.float() - plain.float()).abs().mean(dim=-1), ids == IDS["hair"]
    return {
        "asked": hair_right(prompted, ids, colours),
        "unasked": hair_right(plain, ids, colours),
        "there": float(change[hair].mean()),
        "elsewhere": float(change[~hair].mean()),
    }


def region_control(
    world: World, faces: FaceSet, controls: Sequence[Region], options: SamplingOptions = DEFAULTS
) -> list[dict[str, float]]:
    """What Region Control changes at each of these settings: the region's mean IoU, and that of the others.

    Each control yields its "strength", "start" and "end", and three figures. "region" is the mean IoU of its class
    over the faces that have it. "others" is the mean over the other classes. "change" is the largest change that
    one of them shows against a run without any control.
    """
    plain = score_classes(world, remake(world, faces, options=options), faces)
    rows = []
    for control in controls:
        scores = score_classes(world, remake(world, faces, options=replace(options, regions=(control,))), faces)
        # A class that no face has is NaN.
        others = [name for name in CLASS_NAMES if name != control.name and plain[name] == plain[name]]
        rows.append(
            {
                "strength": control.strength,
                "start": control.start_percent,
                "end": control.end_percent,
                "region": scores[control.name],
                "others": sum(scores[name] for name in others) / len(others),
                "change": max(abs(scores[name] - plain[name]) for name in others),
            }
        )
    return rows


def hair_controls() -> tuple[Region, ...]:
    """Hair at strength 0, 0.5 and 1, and at 0 from the start on for a quarter, a half, ... of the sampling."""
    windows = (Region("hair", 0.0, 0.0, end) for end in (0.25, 0.5, 0.75, 1.0))
    return (*(Region("hair", strength) for strength in (0.0, 0.5, 1.0)), *windows)


def refreshing(
    every: int = 1, schedule: str = "even", steps: int = DEFAULTS.steps, fp8: bool = False
) -> SamplingOptions:
    """The toy's defaults with this schedule of the mask's keys."""
    return replace(DEFAULTS, steps=steps, refresh=Refresh(every, schedule), keys=KeyForm(fp8=fp8))


SPEED_OPTIONS: Mapping[str, SamplingOptions] = {
    "`refresh_every` 0": refreshing(0),
    "`adaptive`": refreshing(schedule="adaptive"),
    "`early, then once`": refreshing(schedule="early, then once"),
    "`refresh_every` 4": refreshing(4),
    "`refresh_every` 2": refreshing(2),
    "`refresh_every` 0, `key_storage` fp8": refreshing(0, fp8=True),
    "`refresh_every` 4, `dense early`": refreshing(4, "dense early"),
    "`refresh_every` 8": refreshing(8),
    "`mask_tokens` merged": replace(DEFAULTS, mask_tokens="merged"),
    "`mask_tokens` half": replace(DEFAULTS, mask_tokens="half"),
}


def speed_prices(
    world: World,
    faces: FaceSet,
    options: Mapping[str, SamplingOptions] = SPEED_OPTIONS,
    exact: SamplingOptions = DEFAULTS,
    noises: int = 1,
) -> Iterator[tuple[str, dict[str, float]]]:
    """What each speed option costs: the scores of the exact pictures, then each option's, and the shift in colour.

    Each row is a mean over `noises` noises for every face. "computed" is how many steps of a run compute the mask
    stream. "colour" is a picture's change in mean colour, averaged over pictures and channels, on a scale of 255.
    """
    cache = LatentCache()
    references: list[Tensor] = []
    for name, chosen in {"exact": exact, **options}.items():
        rows = []
        for noise in range(noises):
            moments: list[Moment] = []
            pictures = remake(world, faces, options=chosen, noise=noise, record=moments.append, cache=cache)
            references += [pictures] if name == "exact" else []
            moved = (pictures.float() - references[noise].float()).mean(dim=(1, 2)).abs().mean()
            computed = sum(moment.computed for moment in moments) / len(moments) * chosen.steps
            rows.append({"computed": computed, **score_pictures(world, pictures, faces), "colour": float(moved)})
        yield name, {figure: sum(row[figure] for row in rows) / noises for figure in rows[0]}
