"""The part of a ComfyUI that `mogle generate --server` uses: uploads, a queue, a history and images."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


class FakeComfy:
    """A context manager. answer: from a prompt to (H, W, 3) uint8, or to the exception that a node raises.

    dies_after: the number of prompts after which it stops answering.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any]], np.ndarray], dies_after: int | None = None, has_pack: bool = True
    ) -> None:
        self.answer, self.dies_after, self.has_pack = answer, dies_after, has_pack
        self.prompts: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self.refusal: dict[str, Any] | None = None
        self.lies: dict[str, Callable[[Any], None]] = {}
        self.forgets = False

    def __enter__(self) -> FakeComfy:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def is_dead(self) -> bool:
        return self.dies_after is not None and len(self.prompts) > self.dies_after

    def history(self, identity: str) -> dict[str, Any]:
        try:
            self.answer(self.prompts[int(identity)])
        except ValueError as error:
            failed = {"node_type": "KSampler", "exception_message": str(error)}
            return {"status": {"messages": [["execution_error", failed]]}, "outputs": {}}
        saved = {"filename": f"{identity}.png", "subfolder": "", "type": "temp"}
        return {"status": {"messages": []}, "outputs": {"picture": {"images": [saved]}}}

    def picture(self, identity: str) -> bytes:
        file = io.BytesIO()
        Image.fromarray(self.answer(self.prompts[int(identity)])).save(file, "PNG")
        return file.getvalue()


def _handler(comfy: FakeComfy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:  # noqa: N802
            if comfy.is_dead:
                return  # without an answer
            if self.lies():
                return
            path, _, query = self.path.partition("?")
            if path.startswith("/object_info/"):
                self.send({"MoGLEGatedCondition": {}} if comfy.has_pack else {})
            elif path.startswith("/history/"):
                identity = path.rsplit("/", 1)[1]
                self.send({} if comfy.forgets else {identity: comfy.history(identity)})
            elif path == "/queue":
                self.send({"queue_running": [], "queue_pending": []})
            else:
                self.send_bytes(comfy.picture(query.split("filename=")[1].split(".")[0]))

        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.lies():
                return None
            if self.path == "/upload/image":
                comfy.uploads.append(body)
                name = body.split(b'filename="')[1].split(b'"')[0].decode()
                return self.send({"name": name, "subfolder": "mogle", "type": "input"})
            if comfy.refusal is not None:
                return self.send(comfy.refusal, 400)
            comfy.prompts.append(json.loads(body)["prompt"])
            if comfy.is_dead:
                return None
            return self.send({"prompt_id": str(len(comfy.prompts) - 1)})

        def lies(self) -> bool:
            endpoint = self.path.partition("?")[0].strip("/").split("/")[0]
            if endpoint not in comfy.lies:
                return False
            comfy.lies[endpoint](self)
            return True

        def send(self, content: Any, code: int = 200) -> None:
            self.send_bytes(json.dumps(content).encode(), code)

        def send_bytes(self, content: bytes, code: int = 200) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # whoever asked has gone
                self.wfile.write(content)

    return Handler
