"""The record of a run: a line for each picture says whether it was made, was already there, or failed and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..support.records import append_record, read_records
from .jobs import Job

logger = logging.getLogger(__name__)

Status = Literal["made", "kept", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job. kept: it was already there with the same settings. file: inside the output folder."""

    name: str
    status: Status
    prompt: str
    seed: int
    mask: str | None
    file: str | None = None
    digest: str | None = None
    error: str | None = None
    conditions: dict[str, str] | None = None

    @classmethod
    def of(
        cls, job: Job, status: Status, file: str | None = None, digest: str | None = None, error: str | None = None
    ) -> Outcome:
        mask = str(job.mask) if job.mask else None
        conditions = {kind: str(path) for kind, path in job.conditions} or None
        return cls(job.name, status, job.prompt, job.seed, mask, file, digest, error, conditions)

    @property
    def record(self) -> dict[str, Any]:
        """The stored form. A job without further conditions is stored as in versions that did not know them."""
        fields = asdict(self)
        return fields if self.conditions else {name: fields[name] for name in fields if name != "conditions"}


def manifest_name(index: int, count: int) -> str:
    """One file for each shard, because machines that share a folder cannot append to the same file."""
    return "manifest.jsonl" if count == 1 else f"manifest-{index}-of-{count}.jsonl"


def append(path: Path, outcome: Outcome) -> None:
    """Append an outcome. Never raises, because a failed record must not lose the pictures."""
    try:
        append_record(path, outcome.record)
    except OSError as error:
        logger.warning("%s: %s cannot be recorded (%s).", path.name, outcome.name, error)


def outcomes(path: Path) -> Iterator[Outcome]:
    """The last outcome of each job; a line that was cut is passed over, wherever the cut is."""
    last: dict[str, Outcome] = {}
    for record in read_records(path):
        try:
            outcome = Outcome(**record)
        except TypeError:
            continue
        last[outcome.name] = outcome
    yield from last.values()
