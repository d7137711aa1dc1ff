"""One running ComfyUI, by its API: what it offers, uploads, prompts and the pictures that come of them."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_direct = build_opener(ProxyHandler({}))  # a proxy of the environment is not for machines of one's own

NODE = "MoGLEGatedCondition"


class UnreachableError(Exception):
    """The server does not answer; another one may."""


class PromptError(Exception):
    """The server answers that this prompt cannot be made, and why."""


@dataclass(frozen=True)
class Client:
    """A server at `url`. patience: seconds to wait for one answer. pause: between two looks at the queue."""

    url: str
    patience: float = 60.0
    pause: float = 0.2

    def check(self) -> None:
        """Raises UnreachableError, or PromptError where the extension is missing."""
        if not self._json(f"/object_info/{NODE}"):
            raise PromptError(f"The ComfyUI at {self.url} has no ComfyUI-MoGLE: install it there and start it again.")

    def upload(self, picture: bytes, name: str) -> str:
        """A PNG among its input files; the name that LoadImage takes."""
        boundary = uuid.uuid4().hex
        fields = {"overwrite": "true", "subfolder": "mogle"}
        body = b"".join(_part(boundary, f'name="{key}"', value.encode()) for key, value in fields.items())
        body += _part(boundary, f'name="image"; filename="{name}"', picture, "image/png")
        body += f"--{boundary}--\r\n".encode()
        answer = self._post("/upload/image", body, f"multipart/form-data; boundary={boundary}")
        return f"{answer['subfolder']}/{answer['name']}" if answer.get("subfolder") else str(answer["name"])

    def picture(self, prompt: Mapping[str, Any]) -> Tensor:
        """Queue the prompt, wait, and fetch its one picture, (H, W, 3) uint8.

        Raises UnreachableError, or PromptError with the nodes' own sentences.
        """
        identity = self._queued(prompt)
        entry = self._finished(identity)
        for event, detail in entry.get("status", {}).get("messages", []):
            if event == "execution_error":
                raise PromptError(f"{detail['node_type']}: {detail['exception_message'].strip()}")
        for output in entry.get("outputs", {}).values():
            for saved in output.get("images", []):
                place = {key: saved[key] for key in ("filename", "subfolder", "type")}
                return _decoded(self._fetch(f"/view?{urlencode(place)}"))
        raise PromptError(f"The ComfyUI at {self.url} made no picture: it was interrupted, or ran out of memory.")

    def _queued(self, prompt: Mapping[str, Any]) -> str:
        body = json.dumps({"prompt": prompt, "client_id": "mogle"}).encode()
        try:
            return str(self._post("/prompt", body, "application/json")["prompt_id"])
        except HTTPError as error:
            raise PromptError(_refusal(error)) from error

    def _finished(self, identity: str) -> dict[str, Any]:
        """However long it takes: a queue may be full of others' work, and a server that dies stops to answer."""
        while True:
            entry = self._json(f"/history/{identity}").get(identity)
            if entry:
                return dict(entry)
            if not self._is_waiting(identity) and not self._json(f"/history/{identity}"):
                raise UnreachableError(f"The ComfyUI at {self.url} has lost its queue: it was started again.")
            time.sleep(self.pause)

    def _is_waiting(self, identity: str) -> bool:
        queue = self._json("/queue")
        return any(item[1] == identity for item in queue["queue_running"] + queue["queue_pending"])

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self._fetch(path))
        except HTTPError as error:
            raise UnreachableError(f"{self.url} answers {error.code} to {path}: is this a ComfyUI?") from error

    def _fetch(self, path: str) -> bytes:
        return self._open(Request(self.url + path))

    def _post(self, path: str, body: bytes, content_type: str) -> Any:
        return json.loads(self._open(Request(self.url + path, data=body, headers={"Content-Type": content_type})))

    def _open(self, request: Request) -> bytes:
        try:
            with _direct.open(request, timeout=self.patience) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError:
            raise
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise UnreachableError(
                f"There is no ComfyUI at {self.url} ({error}): start it, with --listen if it is on another machine."
            ) from error


def _part(boundary: str, disposition: str, content: bytes, content_type: str = "text/plain") -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {content_type}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _refusal(error: HTTPError) -> str:
    try:
        answer = json.loads(error.read())
    except ValueError:
        return f"The ComfyUI answers {error.code} to the prompt."
    found = [
        f"{node['class_type']}: {each['message']} {each.get('details', '')}".strip()
        for node in answer.get("node_errors", {}).values()
        for each in node["errors"]
    ]
    return "; ".join(found) or str(answer.get("error", {}).get("message", answer))


def _decoded(content: bytes) -> Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB")))
