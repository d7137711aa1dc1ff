"""Makes pictures on running ComfyUI servers. They are not trusted: `answers` checks them, `pool` gives them work."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import cached_property
from threading import Thread
from typing import Any

import httpx
import torch
from PIL import Image
from torch import Tensor

from ..masks.decouple import colours
from .answers import PromptError, UnreachableError, said
from .backend import BackendError, Order
from .client import Client
from .comfy import ComfyFiles, comfy_prompt
from .pool import Pool
from .settings import Settings


class ServerBackend:
    """A `Backend`; every server has the same models under the same names.

    patience: seconds to wait for one answer. grace: seconds for which all servers may be silent.
    """

    def __init__(self, urls: Sequence[str], files: ComfyFiles, patience: float = 60.0, grace: float = 60.0) -> None:
        self.files, self.grace = files, grace
        self.clients = [Client(url, patience) for url in dict.fromkeys(map(_whole, urls))]
        self._uploaded: dict[tuple[str, str], str] = {}
        self._absent: dict[str, str] = {}

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        return {"comfyui": asdict(self.files)}

    def prepare(self, prompts: Sequence[str]) -> None:
        """Contact every server once. Raises BackendError if none answers, or one lacks the extension."""
        for client, error in zip(self.clients, _beside(self._checked()), strict=True):
            if isinstance(error, PromptError):
                raise BackendError(str(error)) from error
            if error is not None:
                self._absent[client.url] = str(error)
        if len(self._absent) == len(self.clients):
            raise BackendError(f"None of the servers answers. {next(reversed(self._absent.values()), '')}")

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Tensor | Exception]]:
        async def paint(client: Client, order: Order) -> Tensor:
            mask = None if order.ids is None else await self._uploaded_as(client, _png(_coloured(order.ids)))
            drawn = {kind: await self._uploaded_as(client, _png(each)) for kind, each in order.conditions.items()}
            prompt = comfy_prompt(order.job, settings, self.files, mask, drawn)
            return await client.picture(prompt, settings.width, settings.height)

        yield from Pool(self.clients, paint, self.grace, self._absent).run(iter(orders))

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any]:
        mask = None if order.job.mask is None else order.job.mask.name
        drawn = {kind: path.name for kind, path in order.job.conditions}
        return comfy_prompt(order.job, settings, self.files, mask, drawn)

    def close(self) -> None:
        """The servers keep running."""

    async def _checked(self) -> list[Exception | None]:
        return list(await asyncio.gather(*map(_problem, self.clients)))

    async def _uploaded_as(self, client: Client, stored: bytes) -> str:
        """Upload a picture to the server's input folder once; its name is a digest of its content."""
        name = f"{hashlib.sha256(stored).hexdigest()[:16]}.png"
        if (client.url, name) not in self._uploaded:
            self._uploaded[client.url, name] = await client.upload(stored, name)
        return self._uploaded[client.url, name]


async def _problem(client: Client) -> Exception | None:
    opened = client.opened()
    try:
        await opened.check()
    except (UnreachableError, PromptError) as error:
        return error
    finally:
        await opened.close()
    return None


def _beside(work: Any) -> list[Exception | None]:
    """Run a coroutine in a thread and return its result, because a notebook's loop does not allow another one here."""
    done: Future[list[Exception | None]] = Future()

    def run() -> None:
        try:
            done.set_result(asyncio.run(work))
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done.result()


def _coloured(ids: Tensor) -> Tensor:
    """Ids (H, W) in the palette's colours, (H, W, 3) uint8."""
    return (colours(ids[None])[0] * 255).round().to(torch.uint8)


def _png(picture: Tensor) -> bytes:
    """A picture (H, W, 3) uint8 as a file."""
    file = io.BytesIO()
    Image.fromarray(picture.numpy()).save(file, "PNG")
    return file.getvalue()


def _whole(url: str) -> str:
    """The address with http:// in front. Raises ValueError for an impossible address."""
    whole = (url if "://" in url else f"http://{url}").rstrip("/")
    try:
        parsed = httpx.URL(whole)
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError(f"--server is {said(url)}, which is not an address: write http://HOST:PORT.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"--server is {said(url)}: write http://HOST:PORT or https://HOST:PORT.")
    return whole
