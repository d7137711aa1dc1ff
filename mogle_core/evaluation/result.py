"""The result of an evaluation: JSON with everything that is needed to reproduce it, and a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..support.texts import read_json_file
from ..support.whole_files import write_whole
from .paper import ARCHITECTURES, COLUMNS, DIGESTS, FURTHER, ROWS, Column


@dataclass(frozen=True)
class Result:
    """figures: by column name of `paper`. per_picture: the same for each picture, if the metric has it.

    per_class: mean IoU by class name. setup: sizes, counts, checksums, options, versions.
    """

    figures: Mapping[str, float]
    per_picture: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    per_class: Mapping[str, float] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)


def write_json(result: Result, path: Path) -> None:
    write_whole(path, json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Result:
    """Raises ValueError if the file is not a result."""
    try:
        return Result(**read_json_file(path))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a result of `mogle evaluate` ({error}).") from error


def markdown(results: Mapping[str, Result]) -> str:
    """Results by title, the networks they were measured with, and the figures that the paper's main tables lack.

    The paper's figures stand above, in the columns that were measured with the paper's networks and no others.
    """
    figures = {title: result.figures for title, result in results.items()}
    parts = [_beside_the_paper(results), _networks(results), _further(results, figures)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _beside_the_paper(results: Mapping[str, Result]) -> list[str]:
    columns = _titled(COLUMNS, results)
    published = {
        f"paper: {title}": {
            column.name: value
            for column, value in zip(COLUMNS, row, strict=True)
            if not any(_substitute(result, column) for result in results.values())
        }
        for title, row in ROWS.items()
    }
    measured = {f"**{title}**": result.figures for title, result in results.items()}
    return _table(columns, {title: row for title, row in published.items() if row} | measured)


def _further(results: Mapping[str, Result], figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    columns = tuple(column for column in FURTHER if any(column.name in row for row in figures.values()))
    return _table(_titled(columns, results), figures) if columns else []


def _titled(columns: tuple[Column, ...], results: Mapping[str, Result]) -> tuple[Column, ...]:
    """The columns, with the names of the networks that are not known to be the published ones."""

    def titled(column: Column) -> Column:
        names = sorted({name for result in results.values() if (name := _to_name(result, column))})
        return replace(column, title=f"{column.title} ({', '.join(names)})") if names else column

    return tuple(map(titled, columns))


def _to_name(result: Result, column: Column) -> str | None:
    """The network that a figure was measured with; None for one that is known to be the published one."""
    used = result.setup.get("extractors", {}).get(column.network)
    if used is None or column.name not in result.figures:
        return None
    known = DIGESTS.get(str(column.network), ())
    published = used.get("source") != "toy" and str(used.get("sha256") or "").startswith(known or ("\n",))
    return None if published else str(used.get("source"))


def _substitute(result: Result, column: Column) -> str | None:
    """The toy's network, a user's module, or weights that are not the published ones; None if they may be."""
    name = _to_name(result, column)
    if name is None:
        return None
    used = result.setup["extractors"][column.network]
    kind, sizes = str(column.network), used.get("architecture")
    may_be = name != "toy" and used.get("sha256") is not None and kind not in DIGESTS
    return None if may_be and sizes in (None, ARCHITECTURES.get(kind)) else name


def _networks(results: Mapping[str, Result]) -> list[str]:
    """What each result was measured with."""
    lines = []
    for title, result in results.items():
        used = result.setup.get("extractors", {})
        if used:
            named = ", ".join(f"{kind} {each.get('source')}" for kind, each in used.items())
            lines.append(f"Networks of {title}: {named}.")
        unknown = {name for column in COLUMNS if (name := _to_name(result, column)) and not _substitute(result, column)}
        if unknown:
            lines.append(
                f"No digest of the published weights is known for {', '.join(sorted(unknown))}: the paper's figures "
                "compare only if these are the published ones."
            )
    return lines


def _table(columns: tuple[Column, ...], rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    head = f"| pictures | {' | '.join(column.title for column in columns)} |"
    lines = [f"| {title} | {' | '.join(_shown(figures, c) for c in columns)} |" for title, figures in rows.items()]
    return [head, "|---" * (len(columns) + 1) + "|", *lines]


def _shown(figures: Mapping[str, float], column: Column) -> str:
    """A figure, and what is known of its uncertainty: `22.24 ± 0.41 of 3,000`."""
    if column.name not in figures:
        return "–"
    band, count = (figures.get(f"{column.name}_{what}") for what in ("band", "pictures"))
    shown = f"{figures[column.name]:.{column.digits}f}"
    shown += f" ± {band:.{column.digits}f}" if band is not None else ""
    return shown + (f" of {count:,.0f}" if count is not None else "")
