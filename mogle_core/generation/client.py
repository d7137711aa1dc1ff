"""Talks to one running ComfyUI by its API: checks its nodes, uploads masks, queues prompts, and fetches pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import torch
from torch import Tensor

from ..support.pictures import PictureError, open_picture
from .answers import (
    MOST_JSON,
    Answer,
    PromptError,
    UnreachableError,
    WrongAnswerError,
    fetch,
    of_kind,
    place_of,
    said,
)

NODE = "MoGLEGatedCondition"

_BYTES_A_PIXEL = 8
"""More bytes than any PNG of three 8-bit channels takes, plus an allowance for its workflow."""


@dataclass(frozen=True)
class Client:
    """A server at `url`. http: None before `opened`.

    patience: seconds for one answer. pause: seconds between two looks at the queue. longest: seconds that a
    server may spend on one picture; time in its queue does not count.
    """

    url: str
    patience: float = 60.0
    pause: float = 0.2
    longest: float = 3600.0
    http: httpx.AsyncClient | None = None

    def opened(self) -> Client:
        """Open connections in a running loop. They ignore the environment's proxy, because servers are often local."""
        headers = {"Accept-Encoding": "identity"}
        http = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=self.patience, headers=headers)
        return replace(self, http=http)

    async def close(self) -> None:
        if self.http is not None:
            await self.http.aclose()

    async def check(self) -> None:
        """Raises UnreachableError, or PromptError if the extension is missing."""
        try:
            found = (await self._get(f"/object_info/{NODE}")).checked().object()
        except WrongAnswerError as error:
            raise UnreachableError(str(error)) from error
        if not found:
            raise PromptError(f"The ComfyUI at {self.place} has no ComfyUI-MoGLE: install it there and start it again.")

    async def upload(self, picture: bytes, name: str) -> str:
        """Upload a PNG to the input folder; return its name for LoadImage."""
        request = self._request(
            "POST",
            "/upload/image",
            data={"overwrite": "true", "subfolder": "mogle"},
            files={"image": (name, picture, "image/png")},
        )
        answer = (await self._send(request)).checked()
        stored = of_kind(answer.object().get("name"), str, answer.place)
        folder = of_kind(answer.object().get("subfolder", ""), str, answer.place)
        return f"{folder}/{stored}" if folder else stored

    async def picture(self, prompt: Mapping[str, Any], width: int, height: int) -> Tensor:
        """Queue the prompt, wait, and fetch its one picture, (H, W, 3) uint8.

        Raises:
            UnreachableError: the server cannot be reached.
            WrongAnswerError: it answered what a ComfyUI does not.
            PromptError: with the nodes' messages.
        """
        entry = await self._finished(await self._queued(prompt))
        if failure := _failure(entry):
            raise PromptError(failure)
        saved = next(_pictures(entry), None)
        if saved is None:
            raise PromptError(f"The ComfyUI at {self.place} made no picture: it was interrupted, or ran out of memory.")
        place = {key: of_kind(saved.get(key, ""), str, self.place) for key in ("filename", "subfolder", "type")}
        most = MOST_JSON + _BYTES_A_PIXEL * width * height
        request = self._request("GET", "/view", params=place)
        return _decoded((await self._send(request, most)).checked(), width, height)

    @property
    def place(self) -> str:
        return place_of(httpx.URL(self.url))

    async def _queued(self, prompt: Mapping[str, Any]) -> str:
        request = self._request("POST", "/prompt", json={"prompt": prompt, "client_id": "mogle"})
        answer = await self._send(request)
        if answer.status == 400 and (refusal := _refusal(answer)):
            raise PromptError(refusal)
        return of_kind(answer.checked().object().get("prompt_id"), str, answer.place)

    async def _finished(self, identity: str) -> dict[str, Any]:
        """Wait while other prompts are ahead in the queue, and at most `longest` once this prompt runs."""
        started: float | None = None
        while True:
            if entry := await self._entry(identity):
                return entry
            running, waiting = await self._turn(identity)
            if not running and not waiting and not await self._entry(identity):
                raise UnreachableError(f"The ComfyUI at {self.place} has lost its queue: it was started again.")
            started = (started or time.monotonic()) if running else None
            if started is not None and time.monotonic() - started > self.longest:
                raise WrongAnswerError(f"{self.place} has worked on one picture for {self.longest:g} s: it hangs.")
            await asyncio.sleep(self.pause)

    async def _entry(self, identity: str) -> dict[str, Any]:
        answer = (await self._get(f"/history/{quote(identity, safe='')}")).checked()
        return of_kind(answer.object().get(identity) or {}, dict, answer.place)

    async def _turn(self, identity: str) -> tuple[bool, bool]:
        """Whether the prompt is running, and whether it is queued."""
        answer = (await self._get("/queue")).checked()
        queue = answer.object()
        running, waiting = (of_kind(queue.get(f"queue_{name}"), list, answer.place) for name in ("running", "pending"))
        return _holds(running, identity), _holds(waiting, identity)

    async def _get(self, path: str) -> Answer:
        return await self._send(self._request("GET", path))

    def _request(self, method: str, path: str, **content: Any) -> httpx.Request:
        assert self.http is not None, "open the client first"
        try:
            return self.http.build_request(method, self.url + path, **content)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise WrongAnswerError(f"{self.place} gave a name that cannot be asked for ({said(error)}).") from error

    async def _send(self, request: httpx.Request, most_bytes: int = MOST_JSON) -> Answer:
        assert self.http is not None, "open the client first"
        return await fetch(self.http, request, most_bytes, self.patience)


def _holds(queue: list[Any], identity: str) -> bool:
    return any(isinstance(item, list) and len(item) > 1 and item[1] == identity for item in queue)


def _failure(entry: Mapping[str, Any]) -> str | None:
    """The message of the node that failed, from the messages of a history entry."""
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, dict) else None
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, list) and message[:1] == ["execution_error"]:
            detail = message[1] if len(message) > 1 and isinstance(message[1], dict) else {}
            return said(f"{detail.get('node_type', 'A node')}: {detail.get('exception_message', 'it failed')}")
    return None


def _pictures(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    outputs = entry.get("outputs")
    for output in outputs.values() if isinstance(outputs, dict) else ():
        images = output.get("images") if isinstance(output, dict) else None
        yield from (each for each in (images if isinstance(images, list) else ()) if isinstance(each, dict))


def _refusal(answer: Answer) -> str:
    """ComfyUI's reasons for refusing a prompt; empty if the answer has another format."""
    try:
        content = answer.object()
    except WrongAnswerError:
        return ""
    nodes = content.get("node_errors")
    sentences = [
        f"{node.get('class_type')}: {each.get('message')} {each.get('details', '')}".strip()
        for node in (nodes.values() if isinstance(nodes, dict) else ())
        if isinstance(node, dict) and isinstance(node.get("errors"), list)
        for each in node["errors"]
        if isinstance(each, dict)
    ]
    error = content.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return said("; ".join(sentences) or message or "")


def _decoded(answer: Answer, width: int, height: int) -> Tensor:
    try:
        picture = open_picture(answer.content, width * height)
    except PictureError as error:
        raise WrongAnswerError(f"{answer.place}: {said(error)}") from error
    if picture.size != (width, height):
        raise WrongAnswerError(
            f"{answer.place} gives a picture of {picture.width} x {picture.height} pixels where {width} x {height} "
            "were asked for."
        )
    return torch.from_numpy(np.array(picture.convert("RGB")))
