"""Computes every metric for which there is a network and data to compare, and records how it was computed."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..dataset.reading import read_mask
from ..masks.labels import CLASS_NAMES
from ..masks.score import Score
from ..model.conditions import sketch
from ..support.frechet import Gaussian, frechet_band, frechet_distance
from ..support.progress import Progress
from ..support.sentences import counted
from ..support.versions import versions
from .checksums import sha256
from .features import features
from .material import Material, Settings
from .metrics import detection as detectors
from .metrics.clip_score import clip_scores
from .metrics.cmmd import cmmd
from .metrics.diversity import by_subject, diversity
from .metrics.kernel import kernel_distance
from .metrics.lines import line_distance
from .metrics.masks import mask_scores
from .metrics.structure import distances_of, official, per_picture
from .networks.extractors import Extractor, Kind
from .pictures import batches, read_picture
from .result import Result
from .score_files import read_named_scores
from .spread import each_of

logger = logging.getLogger(__name__)


def measure(settings: Settings, material: Material, networks: Mapping[Kind, Extractor]) -> Result:
    """Compute every metric for which there is a network and data to compare."""
    figures: dict[str, float] = {}
    each: dict[str, dict[str, float]] = {}
    classes: dict[str, float] = {}
    if material.reference:
        figures |= _distances(settings, material, networks)
    if "dino" in networks and material.real:
        each["structure"] = _structure(material, networks["dino"].network, settings.device)
        distances = torch.tensor(list(each["structure"].values()))
        figures |= {"structure": per_picture(distances), "structure_official": official(distances)}
    if "clip" in networks and material.captions:
        each["clip"] = _clip(settings, material, networks["clip"].network)
    if rewards := _rewards(settings, material, networks):
        each["image_reward"] = rewards
    if "parser" in networks and material.masks:
        score = _masks(settings, material, networks["parser"].network)
        classes = _class_means(score)
        each["mean_iou"] = dict(zip(material.masks, score.mean_ious.tolist(), strict=True))
        figures |= _mask_figures(score)
    figures |= {name: _mean(each[name].values()) for name in ("clip", "image_reward") if name in each}
    if "lpips" in networks and (groups := by_subject(material.pictures)):
        figures["diversity"] = _diversity(material, networks["lpips"].network, groups)
    if material.sketches:
        each["line_distance"] = _line_distances(material)
        figures["line_distance"] = _mean(each["line_distance"].values())
    if settings.detection:
        detection = detectors.detection(*detectors.read_scores(settings.detection))
        figures |= {"auc": detection.auc, "eer": detection.eer, "ap": detection.ap}
    return Result(figures, each, classes, _setup(settings, material, networks))


def _distances(settings: Settings, material: Material, networks: Mapping[Kind, Extractor]) -> dict[str, float]:
    figures: dict[str, float] = {}
    # KID draws subsets by position, so both are sorted.
    pictures, photos = sorted(material.compared or material.pictures.values()), sorted(material.reference)
    if "inception" in networks:
        network = networks["inception"].network
        fake, real = (features(network, some, settings.batch, settings.device) for some in (pictures, photos))
        figures |= {"fid": frechet_distance(Gaussian.of(fake), Gaussian.of(real)), "fid_pictures": len(fake)}
        if settings.fid_resamples > 1:
            figures["fid_band"] = frechet_band(fake, real, settings.fid_resamples, settings.seed)
        kid = kernel_distance(fake, real, settings.kid_subsets, settings.kid_subset_size, settings.seed)
        figures |= {"kid": 1000 * kid.mean, "kid_deviation": 1000 * kid.deviation}
    if "clip_large" in networks:
        network = networks["clip_large"].network
        fake, real = (features(network, some, settings.batch, settings.device) for some in (pictures, photos))
        figures["cmmd"] = cmmd(fake, real)
    return figures


@torch.no_grad()
def _structure(material: Material, network: Any, device: str) -> dict[str, float]:
    distances = {}
    pairs = {name: (material.pictures[name], material.real[name]) for name in material.real}
    calls = ((read_picture(path).movedim(-1, 0)[None].to(device),) for pair in pairs.values() for path in pair)
    made = each_of(network, calls)
    for name, paths in Progress(pairs.items(), desc="structure", unit="picture", leave=False, disable=None):
        keys = [next(made)[0] for _ in paths]
        if keys[0].shape != keys[1].shape:
            raise ValueError(
                f"{paths[0]} and {paths[1]} are of different sizes: resize the photos to the pictures' size first."
            )
        distances[name] = float(distances_of([keys[0]], [keys[1]]))
    return distances


@torch.no_grad()
def _clip(settings: Settings, material: Material, network: Any) -> dict[str, float]:
    names = list(material.captions)
    embeddings = features(network, [material.pictures[name] for name in names], settings.batch, settings.device)
    captions = [material.captions[name] for name in names]
    texts = [network.texts(captions[i : i + settings.batch]).cpu() for i in range(0, len(names), settings.batch)]
    return dict(zip(names, clip_scores(embeddings, torch.cat(texts)).tolist(), strict=True))


@torch.no_grad()
def _rewards(settings: Settings, material: Material, networks: Mapping[Kind, Extractor]) -> dict[str, float]:
    if settings.rewards:
        return _of_pictures(settings.rewards, read_named_scores(settings.rewards), material)
    if "image_reward" not in networks or not material.captions:
        return {}
    names, reward = list(material.captions), networks["image_reward"].network
    rewards: list[float] = []
    for pictures in batches([material.pictures[name] for name in names], settings.batch):
        some = names[len(rewards) : len(rewards) + len(pictures)]
        rewards += reward(pictures, [material.captions[name] for name in some]).tolist()
    return dict(zip(names, rewards, strict=True))


def _of_pictures(path: Path, given: Mapping[str, float], material: Material) -> dict[str, float]:
    """The scores of the pictures. Raises ValueError if there are none."""
    scores = {name: given[name] for name in material.pictures if name in given}
    if not scores:
        raise ValueError(
            f"{path.name} has no score of any picture: it names {', '.join([*given][:3])}, the pictures are "
            f"{', '.join([*material.pictures][:3])}."
        )
    if len(scores) < len(material.pictures):
        missing = len(material.pictures) - len(scores)
        logger.warning("%s has no score of %s.", path.name, counted(missing, "picture"))
    return scores


def _masks(settings: Settings, material: Material, parser: Any) -> Score:
    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for name, path in Progress(material.masks.items(), desc="masks", unit="picture", leave=False, disable=None):
            yield read_picture(material.pictures[name]), read_mask(path, settings.label_space).ids[0]

    return mask_scores(parser, pairs())


def _line_distances(material: Material) -> dict[str, float]:
    """Of the pictures whose sketch has lines. Raises ValueError if none has."""
    distances = {}
    for name, path in material.sketches.items():
        picture = read_picture(material.pictures[name])
        shown = sketch.picture(read_picture(path)[None].float() / 255, (picture.shape[0], picture.shape[1]))
        distances[name] = line_distance(shown[0, :, :, 0], picture)
    known = {name: value for name, value in distances.items() if not math.isnan(value)}
    if not known:
        raise ValueError(
            "None of the sketches has a line: --sketches takes white lines on black, or dark ones on white."
        )
    return known


def _mask_figures(scores: Score) -> dict[str, float]:
    return {
        "accuracy": float(scores.accuracy.mean()),
        "mean_iou": float(scores.mean_ious.mean()),
        "merged_iou": float(scores.merged.mean()),
        "boundary_f1": float(scores.mean_outlines.mean()),
    }


def _class_means(scores: Score) -> dict[str, float]:
    means = zip(CLASS_NAMES, scores.ious.nanmean(dim=0).tolist(), strict=True)
    return {name: value for name, value in means if value == value}  # NaN: no picture has the class


def _diversity(material: Material, distance: Any, groups: Mapping[str, Sequence[str]]) -> float:
    values = []
    for names in groups.values():
        pictures = torch.stack([read_picture(material.pictures[name]).movedim(-1, 0) for name in names])
        values.append(diversity(distance, pictures))
    return _mean(values)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _stated(network: Extractor) -> dict[str, str | None]:
    sizes = {"architecture": network.architecture} if network.architecture else {}
    return {"source": network.source, "sha256": network.sha256, **sizes}


def _kid_setup(settings: Settings, material: Material) -> dict[str, int]:
    """How KID was taken: subsets are never larger than the smaller set."""
    size = min(settings.kid_subset_size, len(material.compared or material.pictures), len(material.reference))
    return {
        "subsets": settings.kid_subsets,
        "subset_size": size,
        "subset_size_asked": settings.kid_subset_size,
        "seed": settings.seed,
    }


def _setup(settings: Settings, material: Material, networks: Mapping[Kind, Extractor]) -> dict[str, Any]:
    """What is needed beside the figures to reproduce them."""
    sizes = sorted({"x".join(map(str, Image.open(path).size)) for path in material.pictures.values()})
    return {
        "pictures": len(material.pictures),
        "photos": len(material.reference),
        "pairs": len(material.real),
        "masks": len(material.masks),
        "captions": len(material.captions),
        "sizes": sizes,
        "formats": sorted({path.suffix.lower() for path in material.pictures.values()}),
        "extractors": {kind: _stated(each) for kind, each in networks.items()},
        "caption_rule": "the first of each picture",
        "compared": len(material.compared or material.pictures) if material.reference else 0,
        "fid": {"resamples": settings.fid_resamples, "band": "1.96 deviations of the resamples, to either side"},
        "kid": _kid_setup(settings, material),
        "label_space": settings.label_space,
        **({"sketches": len(material.sketches)} if material.sketches else {}),
        "score_files": {path.name: sha256(path) for path in (settings.detection, settings.rewards) if path is not None},
        "versions": versions(),
    }
