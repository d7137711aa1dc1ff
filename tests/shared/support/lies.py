"""Answers that no ComfyUI gives: what a server that is broken, hostile or something else sends."""

from __future__ import annotations

import gzip
import io
import json
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Lie = Callable[[Any], None]
"""Is given the handler of a request, and answers it."""


def status(code: int, body: bytes = b"something went wrong") -> Lie:
    return lambda handler: handler.send_bytes(body, code)


def body(content: bytes) -> Lie:
    return lambda handler: handler.send_bytes(content)


def answer(content: Any, code: int = 200) -> Lie:
    return lambda handler: handler.send_bytes(json.dumps(content).encode(), code)


def redirect(handler: Any) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:9/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def hang_up(handler: Any) -> None:
    handler.close_connection = True


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"\0" * 2**20)
    except OSError:
        handler.close_connection = True


def drip(handler: Any) -> None:
    """A byte now and then, so that no single read ever takes long."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(60):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        handler.close_connection = True


def too_short(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{}")
    handler.close_connection = True


def compressed(handler: Any) -> None:
    content = gzip.compress(b"\0" * 10**7)
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def not_http(handler: Any) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    handler.close_connection = True


def picture(width: int, height: int, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8)).save(file, format)
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A small PNG whose header promises side x side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


HTML = b"<html><title>502</title>\x1b[31m\x07</html>"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n(x) run\n"
STEERING = "\x1b[31mred\x07\u202e"
DEEP = b"[" * 100_000

AT_FIRST: dict[str, Lie] = {
    "500": status(500),
    "404": status(404),
    "html": body(HTML),
    "empty": body(b""),
    "list": answer([1]),
    "redirect": redirect,
    "hangs up": hang_up,
    "drips": drip,
    "not http": not_http,
}
"""To the question whether it has the extension."""

LIES: dict[str, tuple[str, Lie]] = {
    "upload 500": ("upload", status(500)),
    "upload 404": ("upload", status(404)),
    "upload html": ("upload", body(HTML)),
    "upload redirect": ("upload", redirect),
    "upload without a name": ("upload", answer({})),
    "upload name is a number": ("upload", answer({"name": 3})),
    "upload list": ("upload", answer([])),
    "upload null": ("upload", answer(None)),
    "upload half a surrogate": ("upload", answer({"name": "\ud800"})),
    "upload hangs up": ("upload", hang_up),
    "prompt 500": ("prompt", status(500)),
    "prompt 503": ("prompt", status(503, HTML)),
    "prompt 404": ("prompt", status(404, HTML)),
    "prompt html": ("prompt", body(HTML)),
    "prompt redirect": ("prompt", redirect),
    "prompt empty": ("prompt", body(b"")),
    "prompt list": ("prompt", answer([])),
    "prompt without an id": ("prompt", answer({})),
    "prompt id is a number": ("prompt", answer({"prompt_id": 7})),
    "prompt id is huge": ("prompt", answer({"prompt_id": "x" * 10**6})),
    "prompt 400 html": ("prompt", status(400, HTML)),
    "prompt 400 steers": ("prompt", answer({"error": {"message": STEERING}}, 400)),
    "prompt 400 of odd kinds": ("prompt", answer({"node_errors": [3], "error": [STEERING]}, 400)),
    "prompt nested": ("prompt", body(DEEP)),
    "prompt endless": ("prompt", endless),
    "prompt not utf-8": ("prompt", body(b'{"prompt_id": "\xff"}')),
    "prompt drips": ("prompt", drip),
    "prompt too short": ("prompt", too_short),
    "history 500": ("history", status(500)),
    "history 404": ("history", status(404)),
    "history html": ("history", body(HTML)),
    "history list": ("history", answer([])),
    "history entry is a list": ("history", answer({str(number): [1] for number in range(99)})),
    "history says nothing": ("history", answer({str(number): {"x": 1} for number in range(99)})),
    "history outputs are a list": ("history", answer({str(number): {"outputs": [1]} for number in range(99)})),
    "history steers": (
        "history",
        answer(
            {
                str(number): {"status": {"messages": [["execution_error", {"exception_message": STEERING}]]}}
                for number in range(99)
            }
        ),
    ),
    "history names numbers": (
        "history",
        answer({str(number): {"outputs": {"a": {"images": [{"filename": 3}]}}} for number in range(99)}),
    ),
    "view 500": ("view", status(500)),
    "view 404": ("view", status(404)),
    "view html": ("view", body(HTML)),
    "view empty": ("view", body(b"")),
    "view of another size": ("view", body(picture(48, 32))),
    "view 13000 squared": ("view", body(bomb(13000))),
    "view EPS": ("view", body(EPS)),
    "view GIF": ("view", body(picture(32, 32, "GIF"))),
    "view TIFF": ("view", body(picture(32, 32, "TIFF"))),
    "view endless": ("view", endless),
    "view cut": ("view", body(picture(32, 32)[:-30])),
    "view redirect": ("view", redirect),
    "view compressed": ("view", compressed),
    "view drips": ("view", drip),
    "view not http": ("view", not_http),
}
"""By name: where it answers so, and how. All else is answered as a ComfyUI does."""

QUEUE_LIES: dict[str, Lie] = {
    "html": body(HTML),
    "without lists": answer({}),
    "strings": answer({"queue_running": "x", "queue_pending": "y"}),
    "odd items": answer({"queue_running": [3, [], None], "queue_pending": [{}]}),
    "500": status(500),
}
"""To the question who waits; asked where the history does not know the prompt."""
