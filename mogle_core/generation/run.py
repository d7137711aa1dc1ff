"""A run of `mogle generate`: keeps the pictures that exist, makes the others, and records every outcome."""

from __future__ import annotations

import errno
import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..dataset.errors import DatasetError
from ..dataset.reading import read_mask
from ..masks.decouple import resize
from ..support.progress import Progress
from ..support.sentences import counted
from .backend import Backend, BackendError, Made, Order, Target, Written
from .conditions import read_conditions
from .jobs import Job, shard
from .manifest import Outcome, append, manifest_name, outcomes
from .names import LONGEST, too_long
from .official import noises
from .settings import Settings, digest
from .writing import Format, Notes, read_digest, write_picture

logger = logging.getLogger(__name__)

_UNSHARED = (
    "A worker has written it, but it is not in {folder} here: --write-there needs a folder that all machines share. "
    "Leave the option out and pictures come back to this machine."
)


@dataclass(frozen=True)
class Output:
    """The output folder and its format. quality: of JPEG. replace: overwrite pictures that have other settings.

    strict: the first failure ends the run. shard: (i, n), this run's share of the jobs.
    """

    folder: Path
    format: Format = "png"
    quality: int = 95
    replace: bool = False
    strict: bool = False
    shard: tuple[int, int] = (0, 1)

    def file(self, job: Job) -> Path:
        return self.folder / f"{job.name}{'.png' if self.format == 'png' else '.jpg'}"

    @property
    def manifest(self) -> Path:
        return self.folder / manifest_name(*self.shard)


@dataclass(frozen=True, slots=True)
class Pending:
    """A job to make, its digest, and its number among all jobs of the run."""

    job: Job
    digest: str
    number: int


def generate(jobs: Sequence[Job], settings: Settings, backend: Backend, output: Output) -> Iterator[Outcome]:
    """Make the missing pictures; yields and records the outcome of each job of this shard.

    Raises:
        ValueError: pictures of these names exist that were made with other settings; with `strict`, the
            first failure.
        BackendError: no more pictures can be made; the remaining jobs are recorded as failed.
    """
    output.folder.mkdir(parents=True, exist_ok=True)
    numbers = {job.name: number for number, job in enumerate(jobs)}
    mine = shard(jobs, *output.shard)
    known = {each.name for each in outcomes(output.manifest) if each.status != "failed"}
    pending: list[Pending] = []
    others: list[str] = []
    for found in _sorted_out(mine, numbers, settings, backend, output):
        if isinstance(found, Pending):
            pending.append(found)
            if output.file(found.job).exists() and not output.replace:
                others.append(found.job.name)
        else:
            yield _recorded(found, output, known)
    if others:
        raise ValueError(
            f"{output.folder} has {counted(len(others), 'picture')} of these names with other settings, weights or "
            f"prompts, or damaged (first: {others[0]}): --replace makes them again, another --out keeps them."
        )
    try:
        backend.prepare([each.job.prompt for each in pending])
        for outcome in _made(pending, settings, backend, output):
            yield _recorded(outcome, output)
    finally:
        backend.close()


def _recorded(outcome: Outcome, output: Output, known: Container[str] = ()) -> Outcome:
    """Record an outcome, unless it is known. known: names of pictures that an earlier run recorded."""
    if outcome.status != "kept" or outcome.name not in known:
        append(output.manifest, outcome)
    if outcome.status == "failed":
        if output.strict:
            raise ValueError(f"{outcome.name}: {outcome.error}")
        logger.warning("%s: %s", outcome.name, outcome.error)
    return outcome


def _sorted_out(
    jobs: Sequence[Job], numbers: Mapping[str, int], settings: Settings, backend: Backend, output: Output
) -> Iterator[Pending | Outcome]:
    """The jobs that are to be made, and the outcome of those that exist or whose mask or sketch cannot be read."""
    for job in Progress(jobs, desc="look", unit="job", leave=False, disable=None):
        if too_long(job.name):
            yield Outcome.of(job, "failed", error=f"its name has over {LONGEST} bytes: no file can be called so.")
            continue
        try:
            facts = _facts(job, numbers[job.name], settings, backend)
            own = digest(job, read_ids(job, settings), settings, facts, read_conditions(job, settings))
        except (DatasetError, OSError) as error:
            yield Outcome.of(job, "failed", error=str(error))
            continue
        file = output.file(job)
        if read_digest(file) == own:
            yield Outcome.of(job, "kept", file.relative_to(output.folder).as_posix(), own)
        else:
            yield Pending(job, own, numbers[job.name])


def _facts(job: Job, number: int, settings: Settings, backend: Backend) -> Mapping[str, object]:
    """With the official noise, a picture also depends on its number."""
    return {**backend.facts, "number": number} if settings.official else backend.facts


def read_ids(job: Job, settings: Settings) -> Tensor | None:
    """The job's label map (H, W) at the picture's size. Raises DatasetError."""
    if job.mask is None:
        return None
    ids: Tensor = resize(read_mask(job.mask, settings.label_space).ids, settings.height, settings.width)[0]
    return ids


def _made(pending: Sequence[Pending], settings: Settings, backend: Backend, output: Output) -> Iterator[Outcome]:
    left = {each.job.name: each for each in pending}
    unread: list[Outcome] = []
    with Progress(total=len(pending), desc="pictures", unit="picture", disable=None) as progress:
        try:
            sequence = _longest_first(pending, settings) if getattr(backend, "longest_first", False) else pending
            for order, picture in backend.make(_ordered(sequence, settings, output, unread), settings):
                yield _written(picture, order, left.pop(order.job.name), settings, backend, output)
                progress.update()
        except BackendError as error:
            yield from (Outcome.of(each.job, "failed", error=str(error)) for each in left.values())
            raise
    yield from unread


def _longest_first(pending: Sequence[Pending], settings: Settings) -> Sequence[Pending]:
    """With a mask or a further condition, a picture has twice the tokens. So no worker begins a long one when the
    others have finished.

    The official noise is one stream over all pictures, so these stay in order.
    """
    return pending if settings.official else sorted(pending, key=lambda each: not each.job.steered)


def _ordered(pending: Sequence[Pending], settings: Settings, output: Output, unread: list[Outcome]) -> Iterator[Order]:
    """unread: collects the jobs whose masks have become unreadable."""
    stream, drawn = enumerate(noises(settings)), -1
    for each in pending:
        try:
            target = Target(output.file(each.job), each.digest, output.quality)
            conditions = read_conditions(each.job, settings)
            order = Order(each.job, read_ids(each.job, settings), target=target, conditions=conditions)
        except (DatasetError, OSError) as error:
            unread.append(Outcome.of(each.job, "failed", error=str(error)))
            continue
        while settings.official and drawn < each.number:
            drawn, noise = next(stream)
            order = replace(order, noise=noise)
        yield order


def _written(
    picture: Made, order: Order, pending: Pending, settings: Settings, backend: Backend, output: Output
) -> Outcome:
    if isinstance(picture, Exception):
        return Outcome.of(pending.job, "failed", error=str(picture) or type(picture).__name__)
    file = output.file(pending.job)
    notes = Notes(pending.job, settings, pending.digest, backend.prompt(order, settings))
    try:
        if not isinstance(picture, Written):
            write_picture(picture, file, notes, output.quality)
        elif not file.is_file():
            return Outcome.of(pending.job, "failed", error=_UNSHARED.format(folder=output.folder))
    except OSError as error:
        return Outcome.of(pending.job, "failed", error=_unwritten(file, error))
    return Outcome.of(pending.job, "made", file.relative_to(output.folder).as_posix(), pending.digest)


def _unwritten(file: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {file.parent} is full: make room and start again; finished pictures are kept."
    return f"{file} cannot be written ({error})."
