"""What an evaluation compares: its settings, and the files that it pairs by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..dataset.errors import DatasetError
from ..support.sentences import counted
from .captions import captions_from
from .networks.extractors import Kind
from .pictures import list_pictures, match, readable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What to evaluate, and against what.

    pictures: the generated ones. real: photos of the same names. Photos of other names are left out, unless
    `all_real` is set. prompts: see `captions`. extractors: where each network comes from (see `extractors`); a
    metric without its network is left out. sketches: those that the pictures were made from. detection, rewards:
    score files from other tools.
    fid_resamples: of the bootstrap of FID's band; below 2 there is no band.
    """

    pictures: Path
    out: Path
    real: Path | None = None
    masks: Path | None = None
    prompts: Path | None = None
    extractors: Mapping[Kind, str] = field(default_factory=dict)
    detection: Path | None = None
    rewards: Path | None = None
    title: str = "these pictures"
    label_space: str = "auto"
    batch: int = 32
    device: str = "cpu"
    strict: bool = False
    all_real: bool = False
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    fid_resamples: int = 20
    seed: int = 0
    sketches: Path | None = None


@dataclass(frozen=True)
class Material:
    """The files that are compared, by the generated pictures' names. A mapping is empty if there are none.

    compared: the pictures that FID, KID and CMMD set against `reference`.
    """

    pictures: Mapping[str, Path]
    real: Mapping[str, Path]
    reference: Sequence[Path]
    masks: Mapping[str, Path]
    captions: Mapping[str, str]
    compared: Sequence[Path] = ()
    sketches: Mapping[str, Path] = field(default_factory=dict)


def gather(settings: Settings) -> Material:
    """Pair the files by name. A file without a partner, or one that cannot be read, is left out with a warning; with
    `strict` it is an error."""
    pictures = readable(list_pictures(settings.pictures), settings.strict)

    def partners(folder: Path | None, what: str) -> dict[str, Path]:
        return match(pictures, list_pictures(folder), what, settings.strict) if folder else {}

    real = partners(settings.real, "photo")
    everything = list_pictures(settings.real).values() if settings.real and settings.all_real else real.values()
    return Material(
        pictures=pictures,
        real=real,
        reference=sorted(set(everything)),
        masks=partners(settings.masks, "mask"),
        captions=_captions(settings, pictures),
        sketches=partners(settings.sketches, "sketch"),
        compared=sorted(pictures.values() if settings.all_real else (pictures[name] for name in real)),
    )


def _captions(settings: Settings, pictures: Mapping[str, Path]) -> dict[str, str]:
    manifests = sorted(settings.pictures.glob("manifest*.jsonl"))
    if settings.prompts is None and not manifests:
        return {}
    caption_of = captions_from((settings.prompts,) if settings.prompts else tuple(manifests))
    known = {name: caption for name in pictures if (caption := caption_of(name)) is not None}
    if alone := [name for name in pictures if name not in known]:
        complaint = f"{counted(len(alone), 'picture')} without a caption ({', '.join(alone[:3])})."
        if settings.strict:
            raise DatasetError(f"{complaint} (--strict allows none.)")
        logger.warning("%s They are left out.", complaint)
    return known
