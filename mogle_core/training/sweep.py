"""Several runs and one table: the combinations of some keys' values, each with several seeds, here or on a cluster."""

from __future__ import annotations

import json
import logging
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from ..support.cluster import Cluster, Workers
from ..support.sentences import counted
from ..support.whole_files import write_whole
from .config.reading import ConfigError, TrainingConfig, load_config
from .data.samples import open_samples

logger = logging.getLogger(__name__)

Values = tuple[tuple[str, str], ...]
"""The keys of a combination and their values, as `--set` takes them."""

ABLATIONS = "ablations"
"""The value of --sweep that selects the paper's ablations."""

_NETWORK = "model.network."
_PAPER: tuple[tuple[str, float, Values], ...] = (
    ("global experts alone", 30.36, ((f"{_NETWORK}experts", "global"),)),
    ("local experts alone", 33.62, ((f"{_NETWORK}experts", "local"),)),
    ("static gate", 25.74, ((f"{_NETWORK}gate", "static"),)),
    ("scalar gate", 43.48, ((f"{_NETWORK}gate", "scalar"),)),
    ("no experts, no gate", 33.25, ((f"{_NETWORK}has_experts", "false"), (f"{_NETWORK}gate", "none"))),
    ("experts alone", 26.55, ((f"{_NETWORK}gate", "none"),)),
    ("gate alone", 31.30, ((f"{_NETWORK}has_experts", "false"),)),
    ("both experts, matrix gate", 22.24, ()),
)
"""The paper's ablations (Tables 3 to 5) with its FID, and the keys of each."""


@dataclass(frozen=True)
class Run:
    """One run. row: the table's row that it belongs to, which all seeds share. published: the paper's FID, if any."""

    row: str
    source: str
    sets: tuple[str, ...]
    published: float | None = None

    def config(self) -> TrainingConfig:
        return load_config(self.source, self.sets)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its last step's and its last validation's numbers, or an error."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


def planned(sources: Sequence[str], sets: Sequence[str], sweeps: Sequence[str], seeds: int) -> list[Run]:
    """All runs: every source, every combination of the sweeps' values, every seed.

    sweeps: each `section.key=value,value,...`, or `ablations`.

    Raises:
        ConfigError: a sweep that is neither, or a configuration that cannot be used.
    """
    rows = list(_rows(sweeps))
    runs = []
    for source in sources:
        base = load_config(source, sets)
        for (title, published, values), number in product(rows, range(seeds)):
            seed = base.loop.seed + number
            own = dict((*values, *((("loop.seed", str(seed)),) if seeds > 1 else ())))
            given = [f"{key}={value}" for key, value in own.items()]
            name = "_".join((base.output.name, *(_word(key, value) for key, value in own.items())))
            row = ": ".join(part for part in (Path(source).stem if len(sources) > 1 else "", title) if part)
            run = Run(row or Path(source).stem, source, (*sets, *given, f"output.name={name}"), published)
            runs.append(run)
    _check_places(runs)
    return runs


def _check_places(runs: Sequence[Run]) -> None:
    """Check that all configurations are usable and that no two runs share a folder: one would resume the other."""
    places: dict[Path, Run] = {}
    for run in runs:
        output = run.config().output
        place = output.folder / output.name
        if (other := places.setdefault(place, run)) is not run:
            raise ConfigError(
                f"Two runs would share the folder {place}: {other.row} of {other.source}, and {run.row} of "
                f"{run.source}. Give their configurations different output.name, and leave loop.seed out of --sweep "
                "beside --seeds."
            )


def _rows(sweeps: Sequence[str]) -> Iterator[tuple[str, float | None, Values]]:
    if ABLATIONS in sweeps:
        if len(sweeps) > 1:
            raise ConfigError(f"--sweep {ABLATIONS} stands alone: leave out the other --sweep.")
        yield from _PAPER
        return
    axes = [_axis(sweep) for sweep in sweeps]
    for values in product(*axes):
        yield ", ".join(f"{key} = {value}" for key, value in values), None, values


def _axis(sweep: str) -> list[tuple[str, str]]:
    key, equals, values = sweep.partition("=")
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", values)]  # not inside of a list
    if not equals or not key or not all(parts):
        raise ConfigError(f"--sweep {sweep}: expected section.key=value,value or {ABLATIONS}.")
    return [(key.strip(), part) for part in parts]


def _word(key: str, value: str) -> str:
    plain = re.sub(r"[^\w.+-]+", "-", value)
    return f"{key.rsplit('.', 1)[-1]}-{plain}"


def sweep(
    runs: Sequence[Run], load: Callable[[], Callable[[Run], Ended]], cluster: Cluster | None = None
) -> Iterator[tuple[Run, Ended]]:
    """Train all runs, one after the other or on the workers of a cluster, in any order. An error ends only that run.

    Unfinished runs are resumed, so a second call completes the sweep. load: returns the function that trains a run,
    here or in a worker.
    """
    ready = []
    for run in runs:
        if (complaint := _cached(run)) is None:
            ready.append(run)
        else:
            yield run, complaint
    if cluster is None:
        train = load()
        yield from ((run, train(run)) for run in ready)
        return
    workers: Workers[Run, Ended] = Workers(cluster, load)
    try:
        for run, ended in workers.run(ready):
            yield run, ended if isinstance(ended, Ended) else Ended(error=str(ended))
    finally:
        workers.close()


def _cached(run: Run) -> Ended | None:
    """Fill the run's cache, because two runs must not fill it at the same time. Returns the failure, or None."""
    try:
        config = run.config()
        if config.cache.where == "disk":
            open_samples(config)
    except Exception as error:
        return _failed(run, error)
    return None


def _failed(run: Run, error: Exception) -> Ended:
    logger.warning("%s: %s", run.row, error)
    return Ended(error=str(error) or type(error).__name__)


def trained(train: Callable[[TrainingConfig], object], run: Run, *sets: str) -> Ended:
    """Train a run to its end, from its newest checkpoint if there is one.

    Raises KeyboardInterrupt if it was asked to stop.
    """
    try:
        config = load_config(run.source, (*run.sets, "loop.resume=auto", *sets))
        result = train(config)
        if result is not None:
            return Ended(numbers_of(config.output.folder / config.output.name))
    except Exception as error:  # whatever ends this run, the others go on
        return _failed(run, error)
    raise KeyboardInterrupt


def numbers_of(folder: Path) -> dict[str, float]:
    """The last reading and the last validation of a run, from its events."""
    found: dict[str, float] = {}
    for line in (folder / "events.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "step":
            found |= {"loss": event["loss"], "step": event["step"]}
        elif event["event"] == "validation":
            found |= {"validation": event["loss"], "gate_entropy": event["gate_entropy"]}
    return found


def table(ended: Iterable[tuple[Run, Ended]], order: Sequence[Run]) -> str:
    """A Markdown table with a row for each combination: the mean over the seeds, and their standard deviation."""
    found = dict(ended)
    rows: dict[str, list[Run]] = {}
    for run in order:
        rows.setdefault(run.row, []).append(run)
    paper = any(run.published is not None for run in order)
    head = [
        "run",
        "seeds",
        "validation loss",
        "training loss",
        "gate entropy",
        *(["FID in the paper"] if paper else []),
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row, members in rows.items():
        ends = [found[run] for run in members if run in found]
        good = [end.numbers for end in ends if not end.error]
        failed = len(ends) - len(good)
        seeds = f"{len(good)}" + (f", {counted(failed, 'run')} failed" if failed else "")
        shown = [_spread(good, name) for name in ("validation", "loss", "gate_entropy")]
        last = ["–" if members[0].published is None else f"{members[0].published:.2f}"] if paper else []
        lines.append(f"| {' | '.join((row, seeds, *shown, *last))} |")
    return "\n".join(lines) + "\n"


def _spread(numbers: Sequence[Mapping[str, float]], name: str) -> str:
    values = [each[name] for each in numbers if each.get(name) is not None]
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def write_table(runs: Sequence[Run], text: str) -> Path:
    """Write it beside the runs' folders."""
    path = runs[0].config().output.folder / "sweep.md"
    write_whole(path, text)
    return path
