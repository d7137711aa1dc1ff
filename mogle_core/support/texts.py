"""Text files as people have them: any common encoding, lines that end only where a line ends."""

from __future__ import annotations

import codecs
import json
import logging
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARK = "\ufeff"
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # in JSON, the escape of one half of a character
_LINE_END = re.compile(r"\r\n|\n|\r")


class TextError(ValueError):
    """A file that is not text; the message names it."""


def read_text(path: Path) -> str:
    """A file's text: UTF-8, UTF-16 and UTF-32, else Windows' Latin-1 with a warning.

    Byte order marks are taken out, also those inside, where files were joined.

    Raises:
        TextError: it is not text in any of these, or cannot be read although it is there.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TextError(f"{path} cannot be read ({error.strerror}): give a file of text.") from error
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(path, content[len(mark) :], encoding)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _unmarked(path, content)
    return _unmarked(path, content) if "\0" in text else text.replace(_MARK, "")


def _unmarked(path: Path, content: bytes) -> str:
    """Text that is not UTF-8: UTF-16 if every other byte is mostly 0, else Windows' Latin-1."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    half = len(content) / 2
    if len(content) % 2 == 0 and max(even, odd) > 0.4 * half and min(even, odd) < 0.1 * half:
        return _decoded(path, content, "utf-16-be" if even > odd else "utf-16-le")
    if b"\0" in content:
        raise TextError(f"{path}: this is not a text file; save it as UTF-8 text.")
    logger.warning("%s is not UTF-8 and is read as Windows' Latin-1 (cp1252): save it as UTF-8 to be sure.", path)
    return _decoded(path, content, "cp1252")


def _decoded(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding).replace(_MARK, "")
    except UnicodeDecodeError as error:
        raise TextError(f"{path}: this is not {encoding} text ({error.reason}); save it as UTF-8.") from error


def split_lines(text: str) -> list[str]:
    """The lines of a text. Python's own splitlines also breaks at form feeds, U+2028 and others within a line."""
    lines = _LINE_END.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def full_lines(path: Path) -> list[str]:
    """The stripped lines of a file, without empty ones. Raises TextError."""
    return [line.strip() for line in split_lines(read_text(path)) if line.strip()]


def read_json(text: str) -> Any:
    """JSON without keys that are given twice, of which the first would be lost. Raises ValueError for anything else."""
    try:
        content = json.loads(text, object_pairs_hook=_without_doubles)
        if _HALF.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise ValueError(f"{half} is one half of a character; the other half is missing") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return content


def read_json_file(path: Path) -> Any:
    """The contents of a JSON file in any encoding. Raises TextError, with the file's name, for anything else."""
    try:
        return read_json(read_text(path))
    except TextError:
        raise
    except ValueError as error:
        raise TextError(f"{path}: this is not JSON: {error}.") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {double!r} is given twice")
    return table


def meant(name: str, known: Iterable[str], synonyms: dict[str, str] | None = None) -> str:
    """`; was NAME meant?` for an unknown name that is like a known one, else nothing."""
    plain = name.strip().lower()
    near = (synonyms or {}).get(plain) or next(iter(get_close_matches(plain, [*known], 1, 0.6)), None)
    return f"; was {near} meant?" if near else ""


def composed(name: str) -> str:
    """The name as one character a letter, however its file system stores it."""
    return unicodedata.normalize("NFC", name)
