"""Files of records, one JSON object a line, to which lines are only ever added. They survive a cut anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line. After a line that was cut, it begins a new one, so the cut line is all that is lost."""
    line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records in their order. A line that was cut or is damaged is passed over; a missing file has none."""
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # not JSON, or cut inside a letter
            continue
        if isinstance(record, dict):
            yield record
