"""A real ComfyUI server in a separate process, and the requests that tests send to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from support.hosts import Host

_direct = build_opener(ProxyHandler({}))  # a proxy of the environment is not for 127.0.0.1


class PromptRefusedError(Exception):
    """Validation answered 400. `answer` is the JSON of the server, the text holds all of its messages."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        super().__init__("\n".join(self._sentences()))

    def _sentences(self) -> list[str]:
        error = self.answer.get("error", {})
        found = [f"{error.get('message')} {error.get('details', '')}"]
        for node_id, node in self.answer.get("node_errors", {}).items():
            for error in node["errors"]:
                found.append(f"{node['class_type']} ({node_id}): {error['message']} {error['details']}")
        return found


class PromptFailedError(Exception):
    """A node raised an error. `node_type` is the id of the node, `sentence` its message."""

    def __init__(self, node_type: str, sentence: str, traceback: str = "") -> None:
        self.node_type, self.sentence = node_type, sentence
        super().__init__(f"{node_type}: {sentence}\n{traceback}")


class Server:
    """A context manager. `packs` maps folder names in custom_nodes to the real folders.

    Everything that the server reads and writes is below `base`. `models` and `input` may be filled while
    it runs. `start_log` is what it printed before it first answered.
    """

    def __init__(
        self,
        host: Host,
        packs: Mapping[str, Path],
        options: Sequence[str] = ("--cpu",),
        patience: float = 300,
    ) -> None:
        self.host, self.packs, self.options, self.patience = host, packs, options, patience

    def __enter__(self) -> Server:
        self.base = Path(tempfile.mkdtemp(prefix="face-mogle-server-"))
        self.models, self.input, self.output = (self.base / name for name in ("models", "input", "output"))
        for folder in (self.models, self.input, self.output, self.base / "custom_nodes", self.base / "user"):
            folder.mkdir()
        for name, place in self.packs.items():
            (self.base / "custom_nodes" / name).symlink_to(place, target_is_directory=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        command = [sys.executable, "main.py", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--base-directory", str(self.base), "--database-url", "sqlite:///:memory:"]
        command += ["--disable-auto-launch", "--disable-api-nodes", *self.options]
        with (self.base / "log.txt").open("wb") as log:
            self._running = subprocess.Popen(
                command, cwd=self.host.path, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        own = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own

    def _wait_until_it_answers(self) -> None:
        def answers() -> bool:
            if self._running.poll() is not None:
                raise RuntimeError(f"{self.host.name} ended while it started:\n{self.log()[-4000:]}")
            try:
                return bool(self.get("/system_stats"))
            except URLError:
                return False

        self._wait(answers, self.patience, f"{self.host.name} did not start")
        self.start_log = self.log()

    def stop(self) -> None:
        """Ends the server and its process group, by its id, and removes its base directory."""
        self._end()
        shutil.rmtree(self.base, ignore_errors=True)

    def restart(self) -> None:
        """Ends the server and starts it again at the same address, with an empty queue and history."""
        self._end()
        self._start()
        self._wait_until_it_answers()

    def _end(self) -> None:
        for signal_number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if self._running.poll() is None:
                self._signal(signal_number)
                try:
                    self._running.wait(10)
                except subprocess.TimeoutExpired:
                    continue

    def _signal(self, signal_number: int) -> None:
        if hasattr(os, "killpg"):
            os.killpg(self._running.pid, signal_number)
        else:
            self._running.terminate()

    def log(self) -> str:
        """Everything that the server has printed."""
        return (self.base / "log.txt").read_text("utf-8", errors="replace")

    def failed_packs(self) -> list[str]:
        """The packs that ComfyUI could not import, by folder name."""
        folder = self.base / "custom_nodes"
        return [name for name in self.packs if f"(IMPORT FAILED): {folder / name}\n" in self.start_log]

    def get(self, path: str, **query: str) -> Any:
        return json.loads(self.fetch(path, **query))

    def fetch(self, path: str, **query: str) -> bytes:
        """The body of a GET. The path is escaped as a browser would do it, so it may contain spaces.

        Raises urllib's HTTPError if the server answers with an error.
        """
        address = self.url + quote(path, safe="/%?=&") + (f"?{urlencode(query)}" if query else "")
        with _direct.open(address, timeout=self.patience) as answer:
            return answer.read()

    def post(self, path: str, content: Any) -> Any:
        """Posts JSON. Returns the answer, read as JSON, or None if it is empty."""
        return self._post(path, json.dumps(content).encode(), "application/json")

    def _post(self, path: str, body: bytes, content_type: str) -> Any:
        request = Request(self.url + path, data=body, headers={"Content-Type": content_type})
        with _direct.open(request, timeout=self.patience) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def upload(self, picture: Path, name: str | None = None) -> str:
        """Uploads an image as the browser does. Returns the name for LoadImage."""
        boundary = uuid.uuid4().hex
        disposition = f'form-data; name="image"; filename="{name or picture.name}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: image/png\r\n\r\n"
        body = head.encode() + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return self._post("/upload/image", body, f"multipart/form-data; boundary={boundary}")["name"]

    def queue(self, prompt: Mapping[str, Any]) -> str:
        """Queues a prompt in API form. Returns its id. Raises PromptRefusedError if it does not validate."""
        try:
            return self.post("/prompt", {"prompt": prompt, "client_id": "tests"})["prompt_id"]
        except HTTPError as error:
            if error.code != 400:
                raise
            raise PromptRefusedError(json.loads(error.read())) from None

    def wait_for(self, prompt_id: str, patience: float | None = None) -> dict[str, Any]:
        """The outputs of a queued prompt by node id, when done. Raises PromptFailedError if a node raised."""
        entry: dict[str, Any] = {}

        def is_done() -> bool:
            entry.update(self.get(f"/history/{prompt_id}").get(prompt_id, {}))
            return bool(entry)

        self._wait(is_done, patience or self.patience, f"prompt {prompt_id} did not end")
        for event, detail in entry["status"]["messages"]:
            if event == "execution_error":
                raise PromptFailedError(
                    detail["node_type"], detail["exception_message"].strip(), "".join(detail["traceback"])
                )
        return entry["outputs"]

    def run(self, prompt: Mapping[str, Any], patience: float | None = None) -> dict[str, Any]:
        """Queues a prompt and waits for its outputs."""
        return self.wait_for(self.queue(prompt), patience)

    def picture(self, saved: Mapping[str, str]) -> bytes:
        """The file of an entry in `outputs[node]["images"]`."""
        return self.fetch("/view", **{key: saved[key] for key in ("filename", "subfolder", "type")})

    def _wait(self, is_so: Callable[[], bool], patience: float, complaint: str) -> None:
        end = time.monotonic() + patience
        while not is_so():
            if time.monotonic() > end:
                log = self.log()[-4000:]
                raise TimeoutError(f"{complaint} within {patience:.0f} s. Its log ends:\n{log}")
            time.sleep(0.1)
