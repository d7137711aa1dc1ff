"""The jobs of a run, one for each picture: from a data set, a folder of masks, a table, or prompts alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..dataset import Layout, Split, find_pairs
from ..dataset.captions import read_captions
from ..dataset.errors import DatasetError
from ..dataset.layouts import LAYOUTS, MANIFESTS, PICTURE_SUFFIXES
from ..dataset.listing import files_below, name_below
from ..dataset.pairs import natural
from ..dataset.tables import SYNONYMS, check_keys, rows
from ..model.conditions import KINDS
from ..support.sentences import counted
from ..support.texts import TextError, full_lines
from .conditions import list_conditions, with_conditions
from .names import canonical, check_names

Mode = Literal["both", "mask", "text"]

COLUMNS = ("name", "prompt", "mask", "seed", *KINDS)
"""Of a table of jobs."""

TEXT_ENDINGS = (".txt", ".json", ".jsonl", ".csv", ".tsv")
"""With one of these endings, --prompts is taken for the name of a file and not for a prompt."""

SEEDS = 2**53
"""Seeds are below this, so that JavaScript and JSON represent them exactly."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to make. name: its file's path without suffix. mask: the label map's file, or None.

    conditions: the file of each further condition, by its kind.
    """

    name: str
    prompt: str
    seed: int
    mask: Path | None = None
    conditions: tuple[tuple[str, Path], ...] = ()

    @property
    def steered(self) -> bool:
        """Whether the picture follows anything besides the prompt."""
        return self.mask is not None or bool(self.conditions)


def seed_of(base: int, name: str) -> int:
    """A picture's seed depends on the run's seed and its name only, not on order, shard or batch."""
    return int.from_bytes(hashlib.blake2b(f"{base}/{name}".encode(), digest_size=8).digest(), "big") % SEEDS


def read_jobs(
    source: Path | None,
    prompts: str | None = None,
    mode: Mode = "both",
    seed: int = 0,
    copies: int = 1,
    layout: Layout = "auto",
    split: Split = "all",
    conditions: Mapping[str, Path] | None = None,
) -> list[Job]:
    """All jobs of a run, in the same order on every machine.

    Args:
        source: a data set's folder or manifest, a folder of masks, a .csv or .jsonl of jobs (name, prompt, mask,
            seed, sketch, landmarks; all but the name optional), or None for prompts or conditions alone.
        prompts: a file with a line for each job in their order, a .json or folder of captions by name, or the one
            prompt of all jobs. None takes the source's captions.
        mode: "mask" leaves the prompts empty, "text" leaves the masks out.
        conditions: a folder of pictures with the jobs' names for each kind. Without a source, its names are the jobs.
        copies: pictures of each job, which differ in their seed: NAME@0, NAME@1, ...

    Raises:
        DatasetError: there are no jobs, files are missing, the number of prompts differs, or a name occurs twice.
    """
    found = {kind: list_conditions(folder, kind) for kind, folder in (conditions or {}).items()}
    if source:
        jobs = [*_of_source(source, layout, split, seed)]
    elif found:
        jobs = [Job(name, "", seed_of(seed, name)) for name in sorted(next(iter(found.values())), key=natural)]
    else:
        jobs = _of_prompts(prompts, seed)
    if (source or found) and prompts is not None:
        jobs = _with_prompts(jobs, prompts)
    if not jobs:
        raise DatasetError("There is nothing to make: the source contains neither masks nor jobs.")
    check_names(job.name for job in jobs)
    for kind, folder in (conditions or {}).items():
        jobs = with_conditions(jobs, kind, found[kind], folder)
    jobs = [_in_mode(job, mode) for job in jobs]
    return jobs if copies == 1 else [copy for job in jobs for copy in _copied(job, copies, seed)]


def shard(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """Every `count`-th job, from `index` on."""
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
    """Whether a file is a data set's manifest, which has masks and captions; a table of jobs has prompts."""
    if file.suffix.lower() != ".jsonl":
        return False
    _, first = next(rows(file), (0, {}))
    return "mask" in first and not {"prompt", "seed"} & set(first)


def _is_dataset(folder: Path) -> bool:
    named = {name for places in LAYOUTS.values() for name in places.masks}
    return any((folder / name).is_dir() for name in named) or any((folder / name).is_file() for name in MANIFESTS)


def _of_folder(folder: Path, seed: int) -> Iterator[Job]:
    masks = files_below(folder, PICTURE_SUFFIXES)
    for path in sorted(masks, key=lambda path: natural(path.relative_to(folder).as_posix())):
        name = name_below(path, folder)
        yield Job(name, "", seed_of(seed, name), path)


def _of_table(table: Path, seed: int) -> Iterator[Job]:
    if table.suffix.lower() not in (".csv", ".tsv", ".jsonl"):
        raise DatasetError(f"{table}: jobs come as .csv or .jsonl, masks as a folder.")
    for number, row in rows(table):
        yield _of_row(table, number, row, seed)


def _of_row(table: Path, number: int, row: dict[str, Any], seed: int) -> Job:
    where = f"{table}, line {number}"
    check_keys(where, row, COLUMNS)
    for key in ("name", "prompt", "mask", *KINDS):
        if not isinstance(row.get(key) or "", str):
            raise DatasetError(f"{where}: the {key} is {row[key]!r:.80}; expected one text.")
    prompt, mask, given = row.get("prompt") or "", row.get("mask") or "", row.get("seed")
    pictures = (mask, *(row.get(kind) or "" for kind in KINDS))
    name = row.get("name") or next((Path(file).stem for file in pictures if file), "")
    if not name:
        raise DatasetError(f"{where}: a job needs a name or a mask; found {row!r:.200}.")
    name = canonical(name)
    own = seed_of(seed, name) if given is None or given == "" else _seed(where, given)
    conditions = tuple((kind, table.parent / row[kind]) for kind in KINDS if row.get(kind))
    return Job(name, prompt, own, table.parent / mask if mask else None, conditions)


def _seed(where: str, given: object) -> int:
    """A whole number, as JSON's number or a cell's digits."""
    whole = isinstance(given, int) and not isinstance(given, bool)
    whole = whole or (isinstance(given, float) and given.is_integer())
    if not whole and not (isinstance(given, str) and re.fullmatch(r"-?[0-9]{1,40}", given)):
        raise DatasetError(f"{where}: the seed is {given!r:.80}; expected a whole number, or none.")
    seed = int(given)  # type: ignore[call-overload]  # one of the three above
    if not 0 <= seed < 2**64:
        raise DatasetError(f"{where}: the seed is {str(seed):.80}; seeds run from 0 to 2^64 - 1.")
    return int(seed)


def _of_prompts(prompts: str | None, seed: int) -> list[Job]:
    if prompts is None:
        raise DatasetError("There is nothing to make: give a data set, masks, a table of jobs, or --prompts.")
    _refuse_no_file(prompts)
    lines = _lines(Path(prompts)) if _is_file(prompts) else [prompts]
    width = len(str(len(lines) - 1))
    names = [f"{number:0{width}d}" for number in range(len(lines))]
    return [Job(name, line, seed_of(seed, name)) for name, line in zip(names, lines, strict=True)]


def _with_prompts(jobs: Sequence[Job], prompts: str) -> list[Job]:
    _refuse_no_file(prompts)
    if not prompts.strip() or not (_is_folder(prompts) or _is_file(prompts)):
        return [replace(job, prompt=prompts.strip()) for job in jobs]
    place = Path(prompts)
    if place.is_dir() or place.suffix.lower() == ".json":
        captions = read_captions(place)
        first = {job.name: next(iter(captions.of(job.name)), None) for job in jobs}
        if silent := [name for name, caption in first.items() if caption is None]:
            raise DatasetError(
                f"{place} has no caption for {len(silent)} of {counted(len(jobs), 'job')} (first: {silent[0]})."
            )
        return [replace(job, prompt=first[job.name] or "") for job in jobs]
    lines = _lines(place)
    if len(lines) != len(jobs):
        raise DatasetError(
            f"{place} has {counted(len(lines), 'prompt')} for {counted(len(jobs), 'job')}: a line for each, in the "
            "natural order of their names (2 before 10), or one prompt for all as text."
        )
    return [replace(job, prompt=line) for job, line in zip(jobs, lines, strict=True)]


def _refuse_no_file(prompts: str) -> None:
    """Raises DatasetError if --prompts names a missing file: the name would become the prompt of all jobs."""
    named = prompts.strip().lower().endswith(TEXT_ENDINGS)
    if named and not (_is_file(prompts) or _is_folder(prompts)):
        raise DatasetError(f"--prompts: there is no file {prompts:.200}. If it is a prompt, remove its ending.")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a prompt may be longer than a path can be
        return False


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False


def _lines(path: Path) -> list[str]:
    """A prompt on each line. Raises DatasetError for a table of jobs, whose lines would be the prompts."""
    try:
        lines = full_lines(path)
    except TextError as error:
        raise DatasetError(str(error)) from error
    columns = {cell.strip(' "').lower() for cell in re.split(r"[,;\t]", lines[0])} if lines else set()
    objects = lines and all(line.startswith("{") and line.endswith("}") for line in lines)
    if objects or (len(columns) > 1 and columns <= {*COLUMNS, *SYNONYMS}):
        raise DatasetError(
            f"{path} is a table, and --prompts takes a file with one prompt on each line. Give a table of jobs "
            f"({', '.join(COLUMNS)}) in the place of the masks' folder."
        )
    return lines


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
