"""`mogle demo`: the method on the toy world, on a few examples, and one sheet that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..masks.decouple import decode_image, index_image, resize
from ..masks.labels import CLASSES, IDS
from ..model.flux_latents import TOKEN_PIXELS
from ..model.sampling.options import SamplingOptions
from ..support.whole_files import write_png
from .demo_sketch import DRAWN, drawn_sketch, read_sketch, sketch_weights
from .drawer.attributes import BACKGROUND_COLOURS, CLOTHING_COLOURS, HAIR_COLOURS, Attributes
from .drawer.captions import write_caption
from .drawer.faces import draw_label_map, draw_portrait
from .drawer.faceset import HELD_OUT
from .judge import parse
from .places import WEIGHTS
from .repaint import repaint_hair
from .score import mask_score
from .sheet import GateMap, Row, contact_sheet, overlay
from .text import words_of
from .world import Moment, World, generate, load_world

_SHOWN = ("full mask", "skin", "hair", "mouth", "u_lip", "nose", "cloth", "background")
_COLUMNS = 5


@dataclass(frozen=True)
class Run:
    """The inputs of one picture. name: the name of its files. ids, sketch: (H, W) uint8, None for none.

    strange: the sketch is not of the first run's face, so that its mask says nothing about the result.
    """

    name: str
    title: str
    prompt: str
    ids: Tensor | None
    sketch: Tensor | None = None
    strange: bool = False


@dataclass(frozen=True)
class Result:
    """A picture (H, W, 3) uint8, and how well it follows `measured`: its own mask, or without one the first run's.

    measured, score: None for a sketch of another face.
    """

    run: Run
    picture: Tensor
    measured: Tensor | None
    score: float | None

    @property
    def verdict(self) -> str:
        return "    " if self.score is None else f"{self.score:.2f}"


@dataclass(frozen=True)
class Settings:
    """The demo's options. mask, prompt: with None, the mask is drawn and the prompt is the drawn face's caption.

    sketch: a drawing's file, or `DRAWN`; None shows no sketches.
    """

    out: Path
    size: int = 128
    seed: int = 0
    prompt: str | None = None
    mask: Path | None = None
    steps: int = 20
    sketch: Path | str | None = None


def demo(settings: Settings, folder: Path = WEIGHTS) -> Iterator[str]:
    """Generate and write the pictures; yield the progress messages, line by line.

    Raises:
        ValueError: a size that is not a multiple of 16, no steps, a mask that is none, or a sketch of another face.
        WeightsError: the weights in `folder` are missing or damaged, or have no expert for a sketch.
    """
    _check(settings)
    world = load_world(folder, mogle=None if settings.sketch is None else sketch_weights(folder))
    runs = plan(settings)
    yield from _strangers(world, settings.prompt)
    if any(run.strange for run in runs):
        yield "The drawing's mask is not known. Give one with --mask FILE to combine the drawing with it."
    results, moments = make(world, runs, settings.seed, settings.steps)
    yield "Mask score: mean IoU of the mask and of the result, as the toy's parser reads it. 1 is perfect."
    for number, result in enumerate(results, start=1):
        yield f"  {result.verdict}  {result.run.title}"
        yield f'        "{result.run.prompt}"'
        _save(result, f"{number}_{result.run.name}", settings)
    write_png(_sheet(results, moments), settings.out / "contact_sheet.png")
    yield f"{settings.out / 'contact_sheet.png'} shows all of it; the single pictures are beside it."


def _check(settings: Settings) -> None:
    if settings.size % TOKEN_PIXELS or settings.size < 4 * TOKEN_PIXELS:
        raise ValueError(f"--size is {settings.size}: choose a multiple of {TOKEN_PIXELS} from {4 * TOKEN_PIXELS} on.")
    if settings.steps < 1:
        raise ValueError(f"--steps is {settings.steps}: sampling takes at least 1 step.")
    if settings.seed < 0:
        raise ValueError(f"--seed is {settings.seed}: choose 0 or a larger whole number.")


def plan(settings: Settings) -> list[Run]:
    """The runs: mask and prompt, repainted hair, the mask with another prompt, the prompt without a mask."""
    portrait, caption = draw_portrait(HELD_OUT + settings.seed)
    attributes = portrait.face
    if settings.mask is None:
        ids = torch.from_numpy(draw_label_map(portrait, settings.size))
    else:
        ids = read_mask(settings.mask, settings.size)
        attributes = as_in_mask(attributes, ids)
        caption = write_caption(attributes, np.random.default_rng(settings.seed))
    prompt = settings.prompt or caption
    runs = [Run("mask_and_prompt", "Mask and prompt", prompt, ids)]
    if repainted := repaint_hair(ids):
        runs.append(Run("hair_repainted", f"Repainted: {repainted[1]}", prompt, repainted[0]))
    recoloured = write_caption(other_colours(attributes), np.random.default_rng(settings.seed))
    runs.append(Run("other_prompt", "The mask, another prompt", recoloured, ids))
    runs.append(Run("no_mask", "The prompt without a mask", prompt, None))
    return [*runs, *_sketched(settings, prompt, ids)]


def _sketched(settings: Settings, prompt: str, ids: Tensor) -> list[Run]:
    """The runs with a sketch: with the prompt, and also with mask and prompt if the mask shows the same face."""
    if settings.sketch is None:
        return []
    drawn = settings.sketch == DRAWN
    if drawn and settings.mask is not None:
        raise ValueError(
            "--sketch alone draws the face of --seed, but --mask is of another face. Name a drawing: --sketch FILE."
        )
    height, width = ids.shape
    sketch = drawn_sketch(settings.seed, width) if drawn else read_sketch(Path(settings.sketch), height, width)
    strange = not drawn and settings.mask is None
    alone = Run("sketch_and_prompt", "Sketch and prompt, no mask", prompt, None, sketch, strange)
    both = Run("sketch_mask_and_prompt", "Sketch, mask and prompt", prompt, ids, sketch)
    return [alone] if strange else [alone, both]


def read_mask(path: Path, size: int) -> Tensor:
    """Read a mask as ids (H, W). Its longer side becomes `size`, the other the nearest multiple of 16."""
    ids = decode_image(Image.open(path)).ids
    longer = max(ids.shape[1:])
    height, width = (
        max(TOKEN_PIXELS, round(side * size / longer / TOKEN_PIXELS) * TOKEN_PIXELS) for side in ids.shape[1:]
    )
    return resize(ids, height, width)[0]


def as_in_mask(attributes: Attributes, ids: Tensor) -> Attributes:
    """The attributes, changed to what a mask shows: accessories, the mouth, and the length of the hair."""

    def has(name: str) -> bool:
        return bool((ids == IDS[name]).any())

    return replace(
        attributes,
        glasses=(attributes.glasses or "black") if has("eye_g") else None,
        hat=(attributes.hat or "hat") if has("hat") else None,
        hat_colour=(attributes.hat_colour or "red") if has("hat") else None,
        earrings=has("ear_r"),
        necklace=has("neck_l"),
        mouth_open=has("mouth"),
        hair_length=_hair_length(ids),
    )


def _hair_length(ids: Tensor) -> str:
    """Read from the lowest hair pixel: short above the lips, medium down to a little below the chin."""
    hair, skin = ((ids == IDS[name]).any(dim=1).nonzero().flatten() for name in ("hair", "skin"))
    if len(hair) == 0 or len(skin) == 0:
        return "short"
    down = float(hair[-1] - skin[0]) / max(1.0, float(skin[-1] - skin[0]))
    return "short" if down < 0.8 else "medium" if down < 1.15 else "long"


def other_colours(attributes: Attributes) -> Attributes:
    """The same person with hair, clothing and background of other colours."""
    return replace(
        attributes,
        hair_colour=_after(HAIR_COLOURS, attributes.hair_colour, 3),
        clothing_colour=_after(CLOTHING_COLOURS, attributes.clothing_colour, 3),
        background=_after(BACKGROUND_COLOURS, attributes.background, 3),
    )


def _after(colours: Mapping[str, object], colour: str, steps: int) -> str:
    names = list(colours)
    return names[(names.index(colour) + steps) % len(names)]


def make(world: World, runs: Sequence[Run], seed: int, steps: int) -> tuple[list[Result], list[Moment]]:
    """Generate every run from the same noise; record the first run's gate at an early, a middle and a late step."""
    wanted = sorted({0, steps // 2, steps - 1})
    moments: list[Moment] = []

    def record(moment: Moment) -> None:
        if moment.step in wanted:
            moments.append(moment)

    options = SamplingOptions(steps)
    drawn = [run for run in runs if run.sketch is not None]
    runs = [run for run in runs if run.sketch is None]
    masked = [run for run in runs if run.ids is not None]
    ids = torch.stack([run.ids for run in masked if run.ids is not None])
    prompts = [run.prompt for run in masked]
    with_mask = generate(world, ids, prompts, [seed] * len(masked), options, record=record)
    free = [run for run in runs if run.ids is None]
    size = (ids.shape[1], ids.shape[2])
    without = generate(world, None, [run.prompt for run in free], [seed] * len(free), options, size=size)
    sketched = [_with_sketch(world, run, seed, options) for run in drawn]
    pictures = torch.cat((with_mask, without, *sketched))
    measured = torch.cat((ids, ids[:1].expand(len(free) + len(drawn), -1, -1)))
    scores = mask_score(parse(world.judge, pictures), measured)
    results = [
        Result(run, picture, *((None, None) if run.strange else (own, float(score))))
        for run, picture, own, score in zip([*masked, *free, *drawn], pictures, measured, scores, strict=True)
    ]
    return results, moments


def _with_sketch(world: World, run: Run, seed: int, options: SamplingOptions) -> Tensor:
    """The picture (1, H, W, 3) uint8 of a run with a sketch."""
    assert run.sketch is not None
    ids = None if run.ids is None else run.ids[None]
    return generate(world, ids, [run.prompt], [seed], options, sketches=run.sketch[None])


def _strangers(world: World, prompt: str | None) -> Iterator[str]:
    unknown = sorted({word for word in words_of(prompt or "") if word not in world.text.vocabulary})
    if unknown:
        yield f"The toy's small vocabulary lacks these words of the prompt: {', '.join(unknown)}."


def _save(result: Result, name: str, settings: Settings) -> None:
    run, out = result.run, settings.out
    notes = PngInfo()
    for key, value in (("prompt", run.prompt), ("seed", settings.seed), ("steps", settings.steps)):
        notes.add_text(key, str(value))
    notes.add_text("Software", "face-mogle, toy weights: a generated picture")
    write_png(Image.fromarray(result.picture.numpy()), out / f"{name}.png", pnginfo=notes)
    if run.ids is not None:
        write_png(index_image(run.ids), out / f"{name}_mask.png")
        write_png(Image.fromarray(overlay(result.picture, run.ids).numpy()), out / f"{name}_overlay.png")
    if run.sketch is not None:
        write_png(Image.fromarray(run.sketch.numpy()), out / f"{name}_sketch.png")


def _sheet(results: Sequence[Result], moments: Sequence[Moment]) -> Image.Image:
    rows = [
        Row(
            r.run.title,
            r.run.prompt if r.score is None else f"mask score {r.verdict}\n{r.run.prompt}",
            r.run.ids,
            r.picture,
            r.measured,
            r.run.sketch,
        )
        for r in results
    ]
    steps = [f"step {moment.step + 1}, noise {moment.sigma:.2f}" for moment in moments]
    assert results[0].measured is not None
    return contact_sheet(rows, steps, gate_maps(results[0].measured, moments))


def gate_maps(ids: Tensor, moments: Sequence[Moment]) -> list[GateMap]:
    """The first picture's gate for the full mask and for a few classes of its mask (H, W)."""
    grid = (ids.shape[0] // TOKEN_PIXELS, ids.shape[1] // TOKEN_PIXELS)
    gates = torch.stack([moment.gates[0] for moment in moments if moment.gates is not None])
    present = [name for name in _SHOWN if name == "full mask" or bool((ids == IDS[name]).any())]
    maps = []
    for name in present[:_COLUMNS]:
        expert = 0 if name == "full mask" else IDS[name] + 1
        title = name if expert == 0 else CLASSES[expert - 1].title
        # A gate that has one weight for all tokens is the same everywhere.
        weights = gates[..., expert].expand(-1, grid[0] * grid[1])
        maps.append(GateMap(title, weights.reshape(-1, *grid).float().cpu()))
    return maps
