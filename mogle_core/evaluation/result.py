"""The result of an evaluation: JSON with everything that is needed to repeat it, and a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..support.whole_files import write_whole
from .paper import COLUMNS, FURTHER, ROWS, Column


@dataclass(frozen=True)
class Result:
    """figures: by the names of `paper`'s columns. per_picture: the same by picture, where a metric has that.

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
        return Result(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no result of `mogle evaluate` ({error}).") from error


def markdown(results: Mapping[str, Result]) -> str:
    """Results by title, below the paper's rows, then the figures that its main tables do not have."""
    ours = {title: result.figures for title, result in results.items()}
    return "\n".join([*_beside_the_paper(ours), "", *_further(ours)]).rstrip() + "\n"


def _beside_the_paper(ours: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = [column.name for column in COLUMNS]
    published = {f"paper: {title}": dict(zip(names, row, strict=True)) for title, row in ROWS.items()}
    own = {f"**{title}**": figures for title, figures in ours.items()}
    return _table(COLUMNS, published | own)


def _further(ours: Mapping[str, Mapping[str, float]]) -> list[str]:
    columns = tuple(column for column in FURTHER if any(column.name in figures for figures in ours.values()))
    return _table(columns, ours) if columns else []


def _table(columns: tuple[Column, ...], rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    head = f"| pictures | {' | '.join(column.title for column in columns)} |"
    lines = [f"| {title} | {' | '.join(_shown(figures, c) for c in columns)} |" for title, figures in rows.items()]
    return [head, "|---" * (len(columns) + 1) + "|", *lines]


def _shown(figures: Mapping[str, float], column: Column) -> str:
    return f"{figures[column.name]:.{column.digits}f}" if column.name in figures else "–"
