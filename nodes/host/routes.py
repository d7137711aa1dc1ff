"""The server's routes for the painter: one reads a mask file, with the same code that reads masks everywhere; the other
fits a part of one face to another, with the code of Mask Edit."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

import torch
from aiohttp import web
from server import PromptServer

from ...mogle_core.masks.decouple import MaskError, decode_image
from ...mogle_core.masks.edit import transplant
from ...mogle_core.masks.edit.classes import class_ids
from ...mogle_core.masks.painting import MAX_SIDE, on_grid, read_painting, write_painting
from ...mogle_core.support.pictures import PictureError, open_picture

logger = logging.getLogger(__name__)

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What masks are stored in. Pillow opens forty more, one of them with Ghostscript."""

MOST_BYTES = 64 * 2**20
"""Of a file; the largest painting is 16 million pixels."""

MOST_WAITING = 8
"""Files that are being read or wait for it; one page sends one at a time."""


class BusyError(Exception):
    """As many files as may wait are waiting."""


class Readers:
    """Threads for reading files, so that neither prompts nor other packs wait for them, and a bound on what waits."""

    def __init__(self, threads: int = 2, most: int = MOST_WAITING) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="mogle-masks")
        self._lock, self._most, self._waiting = Lock(), most, 0

    def submit(self, read: Callable[..., Any], *given: object) -> Future[Any]:
        """Raises BusyError. The place is free again when the work has ended, whether somebody waits for it or not."""
        self.take_place()
        return self.start(read, *given)

    def take_place(self) -> None:
        """For a request whose body has still to come. Raises BusyError. `start` or `leave` has to follow."""
        with self._lock:
            if self._waiting >= self._most:
                raise BusyError
            self._waiting += 1

    def start(self, read: Callable[..., Any], *given: object) -> Future[Any]:
        """Work in a place that was taken."""
        work = self._threads.submit(read, *given)
        work.add_done_callback(self.leave)
        return work

    def leave(self, _: Future[Any] | None = None) -> None:
        with self._lock:
            self._waiting -= 1


_readers = Readers()


def add_routes() -> None:
    """POST /mogle/painting?label_space=auto, a picture file as its body: {"painting", "summary"}, or {"error"} and 4xx.
    POST /mogle/painting/part, {"painting", "donor", "part", "locked"} as its body: {"painting"}, or {"error"} and 4xx.

    Nothing is stored. Without a server, as in tests in process, there is nothing to add it to.
    """
    server: Any = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post("/mogle/painting")(answer)
        server.routes.post("/mogle/painting/part")(answer_part)


async def answer(request: web.Request) -> web.Response:
    """400 for a file that is not a mask, 413 for one that is too long, 429 if too many wait."""
    return await _answer(request, painting_of, request.query.get("label_space", "auto"))


async def answer_part(request: web.Request) -> web.Response:
    """400 for a part that cannot be fitted, 413 for a request that is too long, 429 if too many wait."""
    return await _answer(request, with_part)


async def _answer(request: web.Request, work: Callable[..., dict[str, str]], *given: str) -> web.Response:
    """What the work makes of the request's body, as JSON."""
    if (request.content_length or 0) > MOST_BYTES:
        return _refusal(f"The file has more than {MOST_BYTES // 2**20} MiB: save the mask as PNG.", 413)
    try:
        _readers.take_place()
    except BusyError:
        return _refusal(f"{MOST_WAITING} files are being read already: wait a moment and choose it again.", 429)
    try:
        body = await request.read()
    except BaseException:  # the page has gone, or the server refuses the body
        _readers.leave()
        raise
    try:
        return web.json_response(await asyncio.wrap_future(_readers.start(work, body, *given)))
    except MaskError as error:
        return _refusal(str(error), 400)


def painting_of(stored: bytes, label_space: str) -> dict[str, str]:
    """A mask file's painting, and what was found in it. Raises MaskError for everything that can be wrong."""
    try:
        picture = open_picture(stored, MAX_SIDE**2, FORMATS, MAX_SIDE)
        label_map = decode_image(picture, label_space)
        return {"painting": write_painting(on_grid(label_map.ids[0])), "summary": label_map.summary()}
    except MaskError:
        raise
    except PictureError as error:
        raise MaskError(f"{error} Choose a PNG with ids or palette colours, up to {MAX_SIDE} pixels a side.") from error
    except Exception as error:  # a picture that Pillow opens and nothing else can use
        logger.debug("A mask file could not be read.", exc_info=True)
        raise MaskError(f"The mask cannot be read ({type(error).__name__}): save it again as a PNG.") from error


def with_part(body: bytes) -> dict[str, str]:
    """The painting with a part of the donor's face in place of its own. Raises MaskError for whatever is wrong."""
    try:
        return _with_part(body)
    except MaskError:
        raise
    except Exception as error:  # a body or a face that nobody has thought of, or no memory
        logger.debug("A part could not be fitted.", exc_info=True)
        raise MaskError(f"The part cannot be fitted ({type(error).__name__}): choose another face or part.") from error


def _with_part(body: bytes) -> dict[str, str]:
    try:
        order = json.loads(body)
        texts = [order[name] for name in ("painting", "donor", "part", "locked")]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MaskError("The request is not JSON with painting, donor, part and locked: reload the page.") from error
    painting, donor = (read_painting(text) for text in texts[:2])
    if painting is None or donor is None:
        raise MaskError("Nothing is painted, so there is no face to fit a part to: start from a face first.")
    fitted = transplant(painting.numpy(), donor.numpy(), str(texts[2]), class_ids(str(texts[3])))
    return {"painting": write_painting(torch.from_numpy(fitted))}


def _refusal(sentence: str, status: int) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
