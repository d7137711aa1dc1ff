"""Text of any kind is read by one reader: every encoding, and lines that end only at line ends."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mogle_core.support.texts import TextError, full_lines, meant, read_json, read_text, split_lines

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
