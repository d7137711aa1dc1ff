"""Text of any kind is read by one reader: every encoding, and lines that end only at line ends."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mogle_core.support.texts import TextError, full_lines, meant, read_json, read_json_file, read_text, split_lines

TEXT = "Eine Frau mit Brille, größer.\nZweite Zeile – schön.\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_every_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    text = TEXT if encoding != "latin-1" else TEXT.replace("–", "-")
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert read_text(path) == text


def test_marked_utf16_of_either_order_is_read(tmp_path: Path) -> None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        (tmp_path / "a.txt").write_bytes(mark + TEXT.encode(encoding))
        assert read_text(tmp_path / "a.txt") == TEXT


def test_a_guess_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.txt").write_bytes("größer".encode("cp1252"))
    with caplog.at_level(logging.WARNING):
        read_text(tmp_path / "a.txt")
    assert "a.txt is not UTF-8" in caplog.text


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xfeabc", b"\x81\x8d\x8f"])
def test_what_is_no_text_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(TextError, match=r"a\.txt: this is"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("within", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_other_separators_do_not_split_a_line(within: str, tmp_path: Path) -> None:
    assert split_lines(f"one{within}still one\ntwo") == [f"one{within}still one", "two"]
    (tmp_path / "a.txt").write_text(f"one{within}still one\n\n two \n", "utf-8")
    assert full_lines(tmp_path / "a.txt") == [f"one{within}still one", "two"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_ends_a_line(end: str) -> None:
    assert split_lines(end.join(("a", "", "b", ""))) == ["a", "", "b"]


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "[" * 100_000, '{"a": ', "9" * 10_000])
def test_json_that_would_lose_something_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)


@pytest.mark.parametrize(("name", "near"), [("promt", "prompt"), ("Seeds", "seed"), ("nmae", "name"), ("zzz", "")])
def test_the_nearest_name_is_offered(name: str, near: str) -> None:
    assert meant(name, ("name", "prompt", "mask", "seed")) == (f"; was {near} meant?" if near else "")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="cannot be read"):
        read_text(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_joined_files_leave_no_marks_inside(encoding: str, tmp_path: Path) -> None:
    """As `cat a.txt b.txt` leaves them, where each begins with a mark."""
    path = tmp_path / "joined.txt"
    path.write_bytes("\ufeffone\n\ufefftwo\nth\ufeffree\n".encode(encoding))
    assert full_lines(path) == ["one", "two", "three"]


@pytest.mark.parametrize(
    "text", [r'{"a": "\ud83d"}', r'{"\uD800": 1}', r'["x", ["\udfff y"]]', r'"\ude00\ud83d"', r'{"a": "\uDBFF\u0041"}']
)
def test_half_a_character_is_refused(text: str, tmp_path: Path) -> None:
    """It could be written to no file."""
    with pytest.raises(ValueError, match=r"\\ud[89a-f].* is one half of a character"):
        read_json(text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(TextError, match=r"a\.json: this is not JSON: .*one half of a character"):
        read_json_file(tmp_path / "a.json")


def test_both_halves_are_a_character() -> None:
    assert read_json(r'{"a": "\ud83d\ude00 \\ud83d"}') == {"a": "\U0001f600 \\ud83d"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_a_json_file_is_read_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes('{"a": "größer"}'.encode(encoding))
    assert read_json_file(tmp_path / "a.json") == {"a": "größer"}
