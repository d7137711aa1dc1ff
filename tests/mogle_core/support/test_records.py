"""Files of records: whatever is cut, only the cut line is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.full_disk import room_for

from mogle_core.support.records import append_record, read_records

RECORDS = [{"name": "Zoë", "number": 1}, {"name": "李雷", "number": 2}, {"name": "plain", "number": 3}]


def whole(folder: Path) -> Path:
    path = folder / "records.jsonl"
    for record in RECORDS:
        append_record(path, record)
    return path


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    assert list(read_records(whole(tmp_path))) == RECORDS
    assert list(read_records(tmp_path / "none.jsonl")) == []


def test_a_cut_at_any_byte_costs_one_record_and_never_the_next(tmp_path: Path) -> None:
    path = whole(tmp_path)
    content = path.read_bytes()
    ends = [number + 1 for number, byte in enumerate(content) if byte == 10]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        append_record(path, {"name": "next"})
        found = list(read_records(path))
        assert found[-1] == {"name": "next"}
        # A line without its end is whole as well.
        assert found[:-1] == RECORDS[: sum(end - 1 <= cut for end in ends)]


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"[1]\n", b"{\n", b"\n", b"[" * 100_000 + b"\n"])
def test_damaged_lines_are_passed_over(line: bytes, tmp_path: Path) -> None:
    path = whole(tmp_path)
    path.write_bytes(line + path.read_bytes() + line)
    assert list(read_records(path)) == RECORDS


def test_a_line_that_a_full_disk_cut_is_the_only_one_lost(tmp_path: Path) -> None:
    path = whole(tmp_path)
    with room_for(path.stat().st_size + 9), pytest.raises(OSError, match="too large"):
        append_record(path, {"name": "lost"})
    append_record(path, {"name": "next"})
    assert list(read_records(path)) == [*RECORDS, {"name": "next"}]
