"""What is to be made: one job a picture, from a data set, a folder of masks, a table, or prompts alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..dataset import Layout, Split, find_pairs
from ..dataset.captions import read_captions
from ..dataset.errors import DatasetError
from ..dataset.layouts import LAYOUTS, MANIFESTS, PICTURE_SUFFIXES
from ..dataset.pairs import natural
from ..dataset.tables import rows
from ..support.sentences import counted

Mode = Literal["both", "mask", "text"]

SEEDS = 2**53
"""Seeds are below this, so that JavaScript and JSON keep them exactly."""


@dataclass(frozen=True)
class Job:
    """One picture to make. name: its file's path without ending. mask: the label map's file, None for none."""

    name: str
    prompt: str
    seed: int
    mask: Path | None = None


def seed_of(base: int, name: str) -> int:
    """A picture's seed by the run's seed and its name alone: order, shard and batch have no part in it."""
    return int.from_bytes(hashlib.blake2b(f"{base}/{name}".encode(), digest_size=8).digest(), "big") % SEEDS


def read_jobs(
    source: Path | None,
    prompts: str | None = None,
    mode: Mode = "both",
    seed: int = 0,
    copies: int = 1,
    layout: Layout = "auto",
    split: Split = "all",
) -> list[Job]:
    """All jobs of a run, in the same order on every machine.

    Args:
        source: a data set's folder or manifest, a folder of masks, a .csv or .jsonl of jobs (name, prompt, mask,
            seed; all but the name optional), or None for prompts alone.
        prompts: a file with a line for each job in their order, a .json or folder of captions by name, or the one
            prompt of all jobs. None takes the source's own.
        mode: "mask" leaves the prompts empty, "text" leaves the masks out.
        copies: pictures of each job, which differ in their seed: NAME@0, NAME@1, ...

    Raises:
        DatasetError: nothing to make, files that are missing, prompts of another number, a name given twice.
    """
    jobs = [*_of_source(source, layout, split, seed)] if source else _of_prompts(prompts, seed)
    if source and prompts is not None:
        jobs = _with_prompts(jobs, prompts)
    _check(jobs)
    jobs = [_in_mode(job, mode) for job in jobs]
    return jobs if copies == 1 else [copy for job in jobs for copy in _copied(job, copies, seed)]


def shard(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """Every `count`-th job from `index` on."""
    return list(jobs[index::count])


def read_shard(text: str) -> tuple[int, int]:
    """`i/n` -> (i, n). Raises ValueError unless 0 <= i < n."""
    parts = re.fullmatch(r"(\d+)/(\d+)", text)
    index, count = (int(parts[1]), int(parts[2])) if parts else (0, 0)
    if not 0 <= index < count:
        raise ValueError(f"--shard is {text}: shards count from 0, so that the shares of two are 0/2 and 1/2.")
    return index, count


def _of_source(source: Path, layout: Layout, split: Split, seed: int) -> Iterator[Job]:
    if not source.exists():
        raise DatasetError(f"There is no {source} to make pictures from.")
    if source.is_file() and not _is_manifest(source):
        yield from _of_table(source, seed)
        return
    if source.is_dir() and layout == "auto" and not _is_dataset(source):
        yield from _of_folder(source, seed)
        return
    for pair in find_pairs(source, layout, split=split, pictures=False):
        yield Job(pair.name, next(iter(pair.captions), ""), seed_of(seed, pair.name), pair.mask)


def _is_manifest(file: Path) -> bool:
    """A data set's manifest names its masks and captions; a table of jobs has prompts."""
    if file.suffix != ".jsonl":
        return False
    _, first = next(rows(file), (0, {}))
    return "mask" in first and not {"prompt", "seed"} & set(first)


def _is_dataset(folder: Path) -> bool:
    named = {name for places in LAYOUTS.values() for name in places.masks}
    return any((folder / name).is_dir() for name in named) or any((folder / name).is_file() for name in MANIFESTS)


def _of_folder(folder: Path, seed: int) -> Iterator[Job]:
    masks = [path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES]
    for path in sorted(masks, key=lambda path: natural(path.relative_to(folder).as_posix())):
        name = path.relative_to(folder).with_suffix("").as_posix()
        yield Job(name, "", seed_of(seed, name), path)


def _of_table(table: Path, seed: int) -> Iterator[Job]:
    if table.suffix not in (".csv", ".jsonl"):
        raise DatasetError(f"{table}: jobs come as .csv or .jsonl, masks as a folder.")
    for number, row in rows(table):
        yield _of_row(table, number, row, seed)


def _of_row(table: Path, number: int, row: dict[str, Any], seed: int) -> Job:
    where = f"{table}, line {number}"
    name, prompt, mask, own = (row.get(key) for key in ("name", "prompt", "mask", "seed"))
    name = name or (Path(mask).stem if isinstance(mask, str) else "")
    if not isinstance(name, str) or not name:
        raise DatasetError(f"{where}: a job needs a name or a mask; found {row!r}.")
    try:
        own = seed_of(seed, name) if own in (None, "") else int(own)
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{where}: the seed is {own!r}; expected a whole number, or none.") from error
    if not 0 <= own < 2**64:
        raise DatasetError(f"{where}: the seed is {own}; seeds run from 0 to 2^64 - 1.")
    return Job(name, str(prompt or ""), own, table.parent / str(mask) if mask else None)


def _of_prompts(prompts: str | None, seed: int) -> list[Job]:
    if prompts is None:
        raise DatasetError("There is nothing to make: give a data set, masks, a table of jobs, or --prompts.")
    lines = _lines(Path(prompts)) if _is_file(prompts) else [prompts]
    width = len(str(len(lines) - 1))
    names = [f"{number:0{width}d}" for number in range(len(lines))]
    return [Job(name, line, seed_of(seed, name)) for name, line in zip(names, lines, strict=True)]


def _with_prompts(jobs: Sequence[Job], prompts: str) -> list[Job]:
    if not Path(prompts).is_dir() and not _is_file(prompts):
        return [replace(job, prompt=prompts) for job in jobs]
    place = Path(prompts)
    if place.is_dir() or place.suffix == ".json":
        captions = read_captions(place)
        told = {job.name: next(iter(captions.of(job.name)), None) for job in jobs}
        if silent := [name for name, caption in told.items() if caption is None]:
            raise DatasetError(
                f"{place} has no caption for {len(silent)} of {counted(len(jobs), 'job')} (first: {silent[0]})."
            )
        return [replace(job, prompt=told[job.name] or "") for job in jobs]
    lines = _lines(place)
    if len(lines) != len(jobs):
        raise DatasetError(
            f"{place} has {counted(len(lines), 'prompt')} for {counted(len(jobs), 'job')}: a line for each, in the "
            "natural order of their names (2 before 10), or one prompt for all as text."
        )
    return [replace(job, prompt=line) for job, line in zip(jobs, lines, strict=True)]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a prompt may be longer than a path can be
        return False


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]


def _in_mode(job: Job, mode: Mode) -> Job:
    if mode == "mask":
        return replace(job, prompt="")
    return replace(job, mask=None) if mode == "text" else job


def _copied(job: Job, copies: int, seed: int) -> Iterable[Job]:
    if copies < 1:
        raise ValueError(f"--copies is {copies}: at least 1 picture is made of each.")
    for number in range(copies):
        name = f"{job.name}@{number}"
        yield replace(job, name=name, seed=seed_of(seed, name))


def _check(jobs: Sequence[Job]) -> None:
    if not jobs:
        raise DatasetError("There is nothing to make: the source holds no masks and no jobs.")
    seen: set[str] = set()
    for job in jobs:
        path = Path(job.name)
        if path.is_absolute() or ".." in path.parts or re.search(r'[\\:*?"<>|\x00-\x1f]', job.name):
            raise DatasetError(f"The name {job.name!r} cannot be a file's within the output folder.")
        if job.name in seen:
            raise DatasetError(f"The name {job.name} is given twice: pictures are called after their jobs.")
        seen.add(job.name)
