"""The page's routes: whatever is posted, the answer is a painting, or a sentence with a 4xx; and little waits."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image
from support.lies import EPS, bomb

from mogle_core.masks.painting import write_painting

IDS = torch.randint(19, (32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def routes(comfy: Any) -> Any:
    return comfy.module("nodes.host.routes")


def stored(format: str, mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.fromarray(IDS.numpy()).convert(mode).save(file, format)
    return file.getvalue()


def posted(routes: Any, *bodies: bytes, query: str = "", in_turn: bool = False) -> list[tuple[int, dict[str, str]]]:
    """The status and the JSON of each answer; all are posted at once, or each after the answer to the one before."""

    async def post(client: TestClient, body: bytes) -> tuple[int, dict[str, str]]:
        answer = await client.post(f"/mogle/painting{query}", data=body)
        return answer.status, await answer.json()

    async def post_all() -> list[tuple[int, dict[str, str]]]:
        app = web.Application(client_max_size=200 * 2**20)
        app.router.add_post("/mogle/painting", routes.answer)
        async with TestClient(TestServer(app)) as client:
            if in_turn:
                return [await post(client, body) for body in bodies]
            return list(await asyncio.gather(*(post(client, body) for body in bodies)))

    return asyncio.run(post_all())


def test_a_mask_is_answered_with_its_painting(routes: Any) -> None:
    ((status, found),) = posted(routes, stored("PNG"), query="?label_space=celebamask")
    assert status == 200
    assert found["painting"] == write_painting(IDS)
    assert found["summary"].startswith("48x32")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not a whole picture"),
        (b"a face", "the format is not recognised"),
        (stored("PNG")[:-40], "not a whole picture"),
        (bomb(60000), "claims to have far more pixels"),
        (bomb(5000), "up to 4096 pixels a side"),
        (EPS, "the format is not recognised"),
        (stored("PPM"), "the format is not recognised"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 64, "not a whole picture"),
        (b"GIF89a" + b"\x00" * 20, "not a whole picture"),
        (b"II*\x00" + b"\xff" * 64, "not a whole picture"),
        (b"BM" + b"\xff" * 64, "not a whole picture"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 ", "not a whole picture"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 64, "not a whole picture"),
    ],
)
def test_what_is_not_a_mask_is_a_sentence_and_400(routes: Any, body: bytes, sentence: str) -> None:
    ((status, found),) = posted(routes, body)
    assert status == 400
    assert sentence in found["error"]


def test_an_unknown_label_space_is_a_sentence_and_400(routes: Any) -> None:
    ((status, found),) = posted(routes, stored("PNG"), query="?label_space=%00")
    assert status == 400
    assert "is unknown: choose auto" in found["error"]


def test_a_file_that_is_too_long_is_refused_before_it_is_read(routes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_BYTES", 100)
    ((status, found),) = posted(routes, stored("PNG"))
    assert status == 413
    assert "save the mask as PNG" in found["error"]


@pytest.mark.parametrize("error", [KeyError, IndexError, TypeError, OverflowError, MemoryError, RuntimeError])
def test_any_other_exception_is_a_sentence_and_400(
    routes: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error("inside")

    monkeypatch.setattr(routes, "decode_image", fail)
    ((status, found),) = posted(routes, stored("PNG"))
    assert status == 400
    assert error.__name__ in found["error"]


def damaged(count: int) -> Iterator[bytes]:
    """Pictures of every format with bytes changed, cut out and put in."""
    chance = random.Random(0)
    whole = [stored(format) for format in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")] + [stored("PNG", "P")]
    for _ in range(count):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(content))
            match chance.randrange(3):
                case 0:
                    content[place] = chance.randrange(256)
                case 1:
                    del content[place : place + chance.randint(1, 20)]
                case _:
                    content[place:place] = chance.randbytes(chance.randint(1, 8))
            if not content:
                break
        yield bytes(content)


def test_damaged_pictures_end_in_a_painting_or_a_sentence(routes: Any) -> None:
    """MOGLE_FUZZ=10000 posts that many."""
    answers = posted(routes, *damaged(int(os.environ.get("MOGLE_FUZZ", 300))), in_turn=True)
    assert {status for status, _ in answers} == {200, 400}
    for status, found in answers:
        assert found["painting"].startswith("mogle1:") if status == 200 else len(found["error"]) > 20, found
    assert sum(status == 400 for status, _ in answers) > len(answers) / 4


def test_only_so_many_wait_and_the_place_of_one_who_left_stays_taken(routes: Any) -> None:
    going = threading.Event()
    readers = routes.Readers(threads=1, most=2)
    first, second = readers.submit(going.wait), readers.submit(going.wait)
    with pytest.raises(routes.BusyError):
        readers.submit(going.wait)
    assert not first.cancel()  # its thread goes on, whoever has left
    with pytest.raises(routes.BusyError):
        readers.submit(going.wait)
    going.set()
    second.result(timeout=20)
    assert readers.submit(lambda: 7).result(timeout=20) == 7


def test_while_the_readers_are_busy_the_answer_is_429_and_pages_are_served(
    routes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()
    monkeypatch.setattr(routes, "_readers", routes.Readers(threads=1, most=1))
    blocked = routes._readers.submit(going.wait)
    ((status, found),) = posted(routes, stored("PNG"))
    assert status == 429
    assert "wait a moment" in found["error"]
    going.set()
    blocked.result(timeout=20)


def test_eight_large_masks_at_once_leave_the_loop_free(routes: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(np.kron(IDS.numpy(), np.ones((32, 32), np.uint8))).save(file, "PNG")
    answers = posted(routes, *[file.getvalue()] * 8)
    assert {status for status, _ in answers} == {200}


def fitted(routes: Any, body: bytes) -> tuple[int, dict[str, str]]:
    """The answer to a request for a part."""

    async def post() -> tuple[int, dict[str, str]]:
        app = web.Application()
        app.router.add_post("/mogle/painting/part", routes.answer_part)
        async with TestClient(TestServer(app)) as client:
            answer = await client.post("/mogle/painting/part", data=body)
            return answer.status, await answer.json()

    return asyncio.run(post())


def face(mouth: int) -> torch.Tensor:
    """Two eyes, and lips of this many pixels."""
    ids = torch.ones(64, 64, dtype=torch.uint8)
    ids[20:24, 16:22], ids[20:24, 42:48] = 5, 4
    ids[44:46, 32 - mouth : 32 + mouth], ids[46:48, 32 - mouth : 32 + mouth] = 11, 12
    return ids


def test_a_part_of_another_face_is_fitted(routes: Any) -> None:
    order = {"painting": write_painting(face(6)), "donor": write_painting(face(6)), "part": "mouth", "locked": ""}
    assert fitted(routes, json.dumps(order).encode()) == (200, {"painting": order["painting"]})
    order |= {"donor": write_painting(face(9)), "locked": "skin"}
    status, found = fitted(routes, json.dumps(order).encode())
    assert status == 200 and found["painting"] == order["painting"]  # the skin keeps its pixels


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"part": "wings"}, "no part 'wings'"),
        ({"donor": ""}, "Nothing is painted"),
        ({"donor": "mogle1:16x16:AAAA"}, "painting"),
        ({"painting": 7}, "not text"),
        ({"locked": "fins"}, "no class 'fins'"),
        (None, "not JSON"),
    ],
)
def test_a_part_that_cannot_be_fitted_is_a_sentence(routes: Any, change: dict[str, Any] | None, sentence: str) -> None:
    order = {"painting": write_painting(face(6)), "donor": write_painting(face(6)), "part": "mouth", "locked": ""}
    body = b"[]" if change is None else json.dumps(order | change).encode()
    status, found = fitted(routes, body)
    assert status == 400 and sentence in found["error"]


@pytest.mark.parametrize("error", [RecursionError, MemoryError, IndexError("axis 1"), np.linalg.LinAlgError])
def test_any_exception_of_fitting_is_a_sentence_and_400(
    routes: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(routes, "transplant", broken)
    order = {"painting": write_painting(face(6)), "donor": write_painting(face(6)), "part": "mouth", "locked": ""}
    status, found = fitted(routes, json.dumps(order).encode())
    assert status == 400 and "cannot be fitted" in found["error"]


def test_json_that_is_nested_too_deep_is_a_sentence_and_400(routes: Any) -> None:
    status, found = fitted(routes, b"[" * 200_000)
    assert status == 400 and "not JSON" in found["error"]


def test_no_body_is_read_while_the_readers_are_busy(routes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a request whose body never comes gives its place back."""
    monkeypatch.setattr(routes, "_readers", routes.Readers(threads=1, most=1))

    class Request:
        content_length = 4

        async def read(self) -> bytes:
            raise ConnectionResetError("read")

    with pytest.raises(ConnectionResetError):
        asyncio.run(routes.answer_part(Request()))
    routes._readers.take_place()
    assert asyncio.run(routes.answer_part(Request())).status == 429
