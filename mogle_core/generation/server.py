"""Pictures by running ComfyUI servers: jobs go to whichever is free, and on to another where one falls silent."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from queue import Empty, Queue
from threading import Lock
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..masks.decouple import colours
from .backend import BackendError, Order
from .client import Client, PromptError, UnreachableError
from .comfy import ComfyFiles, comfy_prompt
from .settings import Settings

logger = logging.getLogger(__name__)

AHEAD = 4
"""Orders for each server that are taken at a time."""


class ServerBackend:
    """A `Backend`; every server of the pool has the same models under the same names."""

    def __init__(self, urls: Sequence[str], files: ComfyFiles, patience: float = 60.0) -> None:
        self.files = files
        self.clients = [Client(_whole(url), patience) for url in urls]
        self.batch = AHEAD * len(self.clients)
        self._uploaded: dict[tuple[str, str], str] = {}
        self._lock, self._last = Lock(), ""

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        return {"comfyui": asdict(self.files)}

    def prepare(self, prompts: Sequence[str]) -> None:
        """Leaves out the servers that do not answer. Raises BackendError if none does."""
        for client in list(self.clients):
            try:
                client.check()
            except PromptError as error:
                raise BackendError(str(error)) from error
            except UnreachableError as error:
                self._leave_out(client, error)
        if not self.clients:
            raise BackendError(f"None of the servers answers. {self._last}")

    def make(self, orders: Sequence[Order], settings: Settings) -> Iterator[Tensor | Exception]:
        waiting: Queue[int] = Queue()
        for number in range(len(orders)):
            waiting.put(number)
        made: dict[int, Tensor | Exception] = {}

        def work(client: Client) -> None:
            while True:
                try:
                    number = waiting.get_nowait()
                except Empty:
                    return
                try:
                    made[number] = self._picture(client, orders[number], settings)
                except PromptError as error:
                    made[number] = error
                except UnreachableError as error:
                    waiting.put(number)
                    self._leave_out(client, error)
                    return

        # Again for what a server left behind that fell silent after the others had nothing more to do.
        while len(made) < len(orders) and self.clients:
            with ThreadPoolExecutor(len(self.clients)) as pool:
                list(pool.map(work, list(self.clients)))
        for number in range(len(orders)):
            if number not in made:
                raise BackendError(f"None of the servers answers any more. {self._last}")
            yield made[number]

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any]:
        mask = None if order.job.mask is None else order.job.mask.name
        return comfy_prompt(order.job, settings, self.files, mask)

    def close(self) -> None:
        """The servers go on."""

    def _leave_out(self, client: Client, error: UnreachableError) -> None:
        logger.warning("%s is left out: %s", client.url, error)
        with self._lock:
            self._last = str(error)
            self.clients = [each for each in self.clients if each is not client]

    def _picture(self, client: Client, order: Order, settings: Settings) -> Tensor:
        mask = None if order.ids is None else self._mask(client, order.ids)
        return client.picture(comfy_prompt(order.job, settings, self.files, mask))

    def _mask(self, client: Client, ids: Tensor) -> str:
        """The label map among the server's input files, once; called by its content."""
        stored = _png(ids)
        name = f"{hashlib.sha256(stored).hexdigest()[:16]}.png"
        if (client.url, name) not in self._uploaded:
            self._uploaded[client.url, name] = client.upload(stored, name)
        return self._uploaded[client.url, name]


def _png(ids: Tensor) -> bytes:
    """Ids (H, W) in the palette's colours."""
    levels = (colours(ids[None])[0] * 255).round().to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.numpy()).save(file, "PNG")
    return file.getvalue()


def _whole(url: str) -> str:
    return (url if "://" in url else f"http://{url}").rstrip("/")
