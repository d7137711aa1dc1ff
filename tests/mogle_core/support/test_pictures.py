"""Opening pictures of unknown origin."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from support.lies import EPS, bomb, picture

from mogle_core.support.pictures import PictureError, open_picture


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats(format: str) -> None:
    assert open_picture(picture(40, 30, format), 1200).size == (40, 30)


@pytest.mark.parametrize("format", ["GIF", "TIFF", "BMP", "PPM"])
def test_other_formats_are_not_opened(format: str) -> None:
    with pytest.raises(PictureError, match="not a whole picture in PNG, JPEG or WEBP"):
        open_picture(picture(40, 30, format), 1200)


@pytest.mark.parametrize("content", [b"", EPS, picture(40, 30)[:50], b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_what_is_not_a_picture(content: bytes) -> None:
    with pytest.raises(PictureError):
        open_picture(content, 1200)


def test_more_pixels_than_expected_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was unpacked"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was unpacked"))
    for side in (41, 13_000, 60_000):
        with pytest.raises(PictureError, match="pixels"):
            open_picture(bomb(side), 1200)


def test_a_side_may_be_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PictureError, match="100 x 1 pixels"):
        open_picture(picture(100, 1), 1200, most_side=64)


def test_every_exception_of_a_decoder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, OverflowError, MemoryError):

        def fail(_: io.BytesIO, formats: object, kind: type[Exception] = kind) -> None:
            raise kind("inside")

        monkeypatch.setattr(Image, "open", fail)
        with pytest.raises(PictureError, match="inside"):
            open_picture(picture(4, 4), 16)
