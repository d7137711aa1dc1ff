"""Reads tables that people write: the rows of a .csv, or of a .jsonl of objects. No cell is dropped silently."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..support.texts import TextError, meant, read_json, read_text, split_lines
from .errors import DatasetError

DELIMITERS = (",", ";", "\t")
"""Between cells. Excel writes semicolons where the comma is the decimal point, and tabs as "Unicode text"."""

SYNONYMS = {
    "text": ("caption", "prompt"),
    "description": ("caption", "prompt"),
    "caption": ("prompt",),
    "captions": ("prompt",),
    "prompt": ("caption",),
    "image": ("name", "picture"),
    "file": ("name", "picture"),
    "file_name": ("name", "picture"),
    "filename": ("name", "picture"),
    "photo": ("picture",),
    "id": ("name",),
    "label": ("mask",),
    "label_map": ("mask",),
    "segmentation": ("mask",),
    "noise_seed": ("seed",),
}
"""What people call columns, and which they mean; of several the last that a table has."""


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines as objects, with their number, cells stripped.

    Raises DatasetError for a line that is not an object, a row of another length than its head, a column given twice,
    a head that is repeated.
    """
    if not path.is_file():
        raise DatasetError(f"There is no file {path}.")
    try:
        text = read_text(path)
    except TextError as error:
        raise DatasetError(str(error)) from error
    if path.suffix.lower() in (".csv", ".tsv"):
        yield from _of_csv(path, text)
        return
    for number, line in enumerate(split_lines(text), start=1):
        if line.strip():
            yield number, _object(path, number, line)


def check_keys(where: str, row: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises DatasetError for a column that is not known, with the one that was probably meant."""
    for name in row:
        if name not in known:
            synonyms = {word: column for word, columns in SYNONYMS.items() for column in columns if column in known}
            hint = meant(name, known, synonyms)
            raise DatasetError(f"{where}: {name:.80} is unknown{hint or ';'} known are {', '.join(known)}.")


def _of_csv(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = split_lines(text)
    first = lines[0].strip().strip('"') if lines else ""
    delimiter = first[4] if first.lower().startswith("sep=") and len(first) == 5 else None
    start = 1 if delimiter else 0
    head = next((line for line in lines[start:] if line.strip()), "")
    delimiter = delimiter or max(DELIMITERS, key=head.count)
    yield from _rows_of(path, _cells(path, text, delimiter), start)


def _cells(path: Path, text: str, delimiter: str, strict: bool = True) -> list[tuple[int, list[str]]]:
    """The stripped cells of every row, with its line. A field may hold line ends, so the text is read as a whole."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=strict)
    try:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        if strict and "expected after" in str(error):  # a space between a closing quote and the next cell
            return _cells(path, text, delimiter, strict=False)
        raise DatasetError(f"{path}, line {reader.line_num}: this is not a table ({error}).") from error


def _rows_of(path: Path, listed: list[tuple[int, list[str]]], start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    head: list[str] | None = None
    for number, cells in listed:
        where = f"{path}, line {number}"
        if number <= start or not any(cells):
            continue
        if head is None:
            head = _head(where, cells)
        elif cells[: len(head)] == head:
            raise DatasetError(
                f"{where}: this line repeats the head ({', '.join(head)}), as when tables are joined. Remove the line."
            )
        elif len(cells) != len(head):
            raise DatasetError(f"{where}: {len(cells)} cells, where the head has {len(head)} ({', '.join(head)}).")
        else:
            yield number, dict(zip(head, cells, strict=True))


def _head(where: str, cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    if double := next((name for name in cells if cells.count(name) > 1), None):
        raise DatasetError(f"{where}: the column {double!r:.80} is given twice.")
    if not all(cells):
        raise DatasetError(f"{where}: a column of the head has no name.")
    return cells


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        content = read_json(line)
    except ValueError as error:
        raise DatasetError(f"{path}, line {number}: this is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}, line {number}: expected an object in braces, found {line.strip()[:40]!r}.")
    return {name.strip(): value.strip() if isinstance(value, str) else value for name, value in content.items()}
