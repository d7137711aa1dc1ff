"""Paintings as text are read back as they were written, and nothing else is accepted."""

from __future__ import annotations

import base64
import tracemalloc
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.painting import MAX_SIDE, on_grid, read_painting, read_planes, sketch_of, write_painting
from mogle_core.toy.drawer.faces import draw_face

FACE = torch.from_numpy(draw_face(0, 512).ids)


def text_of(pixels: bytes, width: int = 16, height: int = 16) -> str:
    return f"mogle1:{width}x{height}:{base64.b64encode(zlib.compress(pixels)).decode()}"


@st.composite
def paintings(draw: st.DrawFn) -> Tensor:
    height, width = (16 * draw(st.integers(1, 5)) for _ in "hw")
    seed, classes = draw(st.integers(0, 2**31)), draw(st.integers(1, 19))
    return torch.randint(classes, (height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@given(paintings())
def test_what_is_written_is_read_back(ids: Tensor) -> None:
    text = write_painting(ids)
    read = read_painting(text)
    assert read is not None and read.dtype == torch.uint8 and torch.equal(read, ids)
    assert text.startswith(f"mogle1:{ids.shape[1]}x{ids.shape[0]}:")
    # Around it white space may have come in by copying.
    assert torch.equal(read_painting(f" {text}\n"), ids)


@given(paintings(), st.booleans())
def test_a_pencil_drawing_is_read_back_with_and_without_a_map(pencil: Tensor, has_map: bool) -> None:
    ids = pencil.flip(0) if has_map else None
    text = write_painting(ids, pencil * 13)
    assert text.startswith(f"mogle2:{pencil.shape[1]}x{pencil.shape[0]}:")
    read = read_planes(text)
    assert read is not None and read.pencil is not None and torch.equal(read.pencil, pencil * 13)
    map_alone = read_painting(text)
    assert (read.ids is None and map_alone is None) if ids is None else torch.equal(map_alone, ids)
    assert torch.equal(sketch_of(read.pencil)[0, ..., 2], pencil * 13 / 255)


def test_without_a_pencil_drawing_the_version_stays_1() -> None:
    assert write_painting(FACE).startswith("mogle1:512x512:") and write_painting(None) == ""
    read = read_planes(write_painting(FACE))
    assert read is not None and read.pencil is None


@pytest.mark.parametrize(("version", "sentence"), [(3, "has version 3;.*Update"), (12, "has version 12;")])
def test_a_newer_version_says_what_to_update(version: int, sentence: str) -> None:
    with pytest.raises(MaskError, match=sentence):
        read_planes(f"mogle{version}:16x16:AAAA:AAAA")


def test_each_plane_of_version_2_is_checked() -> None:
    good, short = (text_of(bytes(size)).rpartition(":")[2] for size in (256, 255))
    wrong_id = text_of(bytes([19]) * 256).rpartition(":")[2]
    assert read_planes(f"mogle2:16x16:{good}:{wrong_id}") is not None  # 19 is a grey level like any other
    for ids, pencil, sentence in (
        (short, good, "256 pixels"),
        (good, short, "256 pixels"),
        (wrong_id, good, "id 19;"),
        (good, "AAAA", "damaged"),
        ("", "AAAA", "damaged"),
    ):
        with pytest.raises(MaskError, match=sentence):
            read_planes(f"mogle2:16x16:{ids}:{pencil}")
    with pytest.raises(MaskError, match="multiples of 16"):
        read_planes(f"mogle2:17x16::{good}")


def test_both_planes_have_one_size() -> None:
    with pytest.raises(MaskError, match="pencil drawing is"):
        write_painting(FACE, FACE[:256])


def test_a_face_is_a_few_kilobytes() -> None:
    assert len(write_painting(FACE)) < 8000


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_an_empty_painting(text: str) -> None:
    assert read_painting(text) is None


@pytest.mark.parametrize("value", [None, 3, ["mogle1"], {"ids": 1}])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(MaskError, match=type(value).__name__):
        read_painting(value)


@pytest.mark.parametrize(
    "text",
    [
        "a face",
        "mogle2:16x16:AAAA",
        "mogle2:16x16::",
        "mogle2:16x16:AAAA:",
        "mogle2:16x16:AAAA:AAAA:AAAA",
        "mogle1:16x16:AAAA:AAAA",
        "mogle1:16x16::AAAA",
        "mogle1:16:AAAA",
        "mogle1:16x16:",
        "mogle1:-16x16:AAAA",
        "mogle1:16x16:AA\nAA",
        "mogle1:999999x16:AAAA",
        "mogle1:16x16:AAAA;x",
        "mogle1:\u0661\u0666x16:AAAA ",
    ],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(MaskError):
        read_painting(text)


@pytest.mark.parametrize(("width", "height"), [(0, 16), (16, 24), (17, 16), (16, MAX_SIDE + 16), (99999, 16)])
def test_a_size_that_is_not_allowed_is_refused(width: int, height: int) -> None:
    with pytest.raises(MaskError, match="multiples of 16 from 16 to 4096"):
        read_painting(text_of(bytes(256), width, height))
    if 0 < width < 20000:
        with pytest.raises(MaskError, match="multiples of 16"):
            write_painting(torch.zeros(height, width, dtype=torch.uint8))


@pytest.mark.parametrize("size", [0, 1, 255, 257, 100_000])
def test_too_few_and_too_many_pixels_are_refused(size: int) -> None:
    with pytest.raises(MaskError, match="the 256 pixels"):
        read_painting(text_of(bytes(size)))


@given(st.integers(1, 200))
def test_a_cut_text_is_refused(removed: int) -> None:
    head, _, packed = write_painting(FACE[::8, ::8]).rpartition(":")
    cut = base64.b64encode(base64.b64decode(packed)[:-removed]).decode()
    with pytest.raises(MaskError, match="cut or changed|damaged|begins with"):
        read_painting(f"{head}:{cut}")


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_read_or_refused_in_a_sentence(packed: bytes) -> None:
    text = f"mogle1:16x16:{base64.b64encode(packed).decode()}"
    with pytest.raises(MaskError, match=r"\.$"):
        read_painting(text)


def test_more_after_the_end_is_refused() -> None:
    packed = base64.b64encode(zlib.compress(bytes(256)) + b"more").decode()
    with pytest.raises(MaskError, match="cut or changed"):
        read_painting(f"mogle1:16x16:{packed}")


def test_a_decompression_bomb_is_not_unpacked() -> None:
    bomb = text_of(bytes(1 << 28))
    tracemalloc.start()
    try:
        with pytest.raises(MaskError, match="the 256 pixels"):
            read_painting(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(bomb)
    finally:
        tracemalloc.stop()


@given(st.integers(0, 255), st.integers(19, 255))
def test_an_id_above_18_is_refused(place: int, wrong: int) -> None:
    pixels = bytearray(256)
    pixels[place] = wrong
    with pytest.raises(MaskError, match=f"id {wrong};"):
        read_painting(text_of(bytes(pixels)))
    with pytest.raises(MaskError, match=f"id {wrong};"):
        write_painting(torch.frombuffer(pixels, dtype=torch.uint8).view(16, 16))


def test_only_one_map_of_bytes_is_written() -> None:
    for ids in (torch.zeros(1, 16, 16, dtype=torch.uint8), torch.zeros(16, 16)):
        with pytest.raises(MaskError, match="height, width"):
            write_painting(ids)


@pytest.mark.parametrize(
    ("size", "expected"), [((512, 512), (512, 512)), ((1, 5000), (16, 4096)), ((100, 90), (96, 96))]
)
def test_any_size_comes_onto_the_grid(size: tuple[int, int], expected: tuple[int, int]) -> None:
    ids = torch.full(size, 7, dtype=torch.uint8)
    assert torch.equal(on_grid(ids), torch.full(expected, 7, dtype=torch.uint8))
