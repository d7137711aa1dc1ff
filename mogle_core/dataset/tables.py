"""Tables that people write: the rows of a .csv, or of a .jsonl with an object a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DatasetError


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines as objects, with their number. Raises DatasetError for a line that is none."""
    if not path.is_file():
        raise DatasetError(f"There is no file {path}.")
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, dict(row)
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _object(path, number, line)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{path}, line {number}: this is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}, line {number}: expected an object in braces, found {line.strip()[:40]!r}.")
    return content
