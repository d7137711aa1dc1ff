"""Finds each job's sketch and landmarks in a folder, and reads them as pictures that the VAE can encode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..dataset.errors import DatasetError
from ..dataset.layouts import PICTURE_SUFFIXES
from ..dataset.listing import by_name, files_below
from ..dataset.reading import read_picture
from ..model.conditions import KINDS
from ..support.sentences import counted

if TYPE_CHECKING:  # `jobs` imports this
    from .jobs import Job
    from .settings import Settings


def with_conditions(jobs: Sequence[Job], kind: str, pictures: Mapping[str, Path], folder: Path) -> list[Job]:
    """The jobs with the pictures of their names. A job that names its own picture keeps it.

    Raises:
        DatasetError: the folder lacks a job's picture.
    """
    own = {job.name for job in jobs if kind in dict(job.conditions)}
    if lacking := [job.name for job in jobs if job.name not in pictures and job.name not in own]:
        raise DatasetError(
            f"{folder} has no {kind} for {len(lacking)} of {counted(len(jobs), 'job')} (first: {lacking[0]}): each "
            "picture there has the name of its job."
        )
    return [
        job if job.name in own else replace(job, conditions=(*job.conditions, (kind, pictures[job.name])))
        for job in jobs
    ]


def list_conditions(folder: Path, kind: str) -> dict[str, Path]:
    """The pictures of a folder by the names of their jobs.

    Raises:
        DatasetError: there are none, or two of one name.
    """
    # Without the folder, `files_below` yields nothing.
    pictures = by_name(files_below(folder, PICTURE_SUFFIXES), folder, f"keep one {kind} of a name")
    if not pictures:
        raise DatasetError(
            f"{folder} is not a folder, or it contains no {kind} pictures ({', '.join(PICTURE_SUFFIXES)})."
        )
    return pictures


def read_conditions(job: Job, settings: Settings) -> dict[str, Tensor]:
    """The job's further conditions by kind, each (H, W, 3) uint8 at the picture's size as it is encoded.

    Raises:
        DatasetError: a file cannot be read, or does not show its kind.
    """
    return {kind: _picture(kind, path, settings) for kind, path in job.conditions}


def _picture(kind: str, path: Path, settings: Settings) -> Tensor:
    given = torch.from_numpy(read_picture(path).copy())[None] / 255
    try:
        picture = KINDS[kind].picture(given, (settings.height, settings.width))[0]
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
    # Rounded to whole levels, so that a server, which gets it as a PNG, sees the same picture.
    return (picture * 255).round().to(torch.uint8).contiguous()
