"""The server's one route: a mask file is read for the painter by the same code that reads masks everywhere."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from aiohttp import web
from PIL import Image, UnidentifiedImageError
from server import PromptServer

from ...mogle_core.masks.decouple import MaskError, decode_image
from ...mogle_core.masks.painting import MAX_SIDE, on_grid, write_painting


def add_routes() -> None:
    """POST /mogle/painting?label_space=auto, a picture file as its body: {"painting", "summary"}, or {"error"}.

    Nothing is stored. Without a server, as in tests in process, there is nothing to add it to.
    """
    server: Any = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post("/mogle/painting")(answer)


async def answer(request: web.Request) -> web.Response:
    stored = await request.read()
    label_space = request.query.get("label_space", "auto")
    try:
        # A large mask takes seconds: prompts and previews go on meanwhile.
        return web.json_response(await asyncio.to_thread(painting_of, stored, label_space))
    except MaskError as error:
        # Not with a status of its own: browsers would log what the painter tells its user anyway.
        return web.json_response({"error": str(error)})


def painting_of(stored: bytes, label_space: str) -> dict[str, str]:
    """A mask file's painting, and what was found in it. Raises MaskError."""
    try:
        with Image.open(io.BytesIO(stored)) as picture:
            if max(picture.size) > MAX_SIDE:
                raise MaskError(
                    f"The file is {picture.width} x {picture.height} pixels; the painter takes up to {MAX_SIDE}. "
                    "Make it smaller by nearest neighbour."
                )
            label_map = decode_image(picture, label_space)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise MaskError("The file is no picture that can be read: choose a PNG with ids or palette colours.") from error
    return {"painting": write_painting(on_grid(label_map.ids[0])), "summary": label_map.summary()}
