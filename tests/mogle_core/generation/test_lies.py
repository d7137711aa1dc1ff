"""Servers that answer as no ComfyUI does: the job fails with a sentence or is made elsewhere, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lies
from support.fake_comfy import FakeComfy
from support.places import REPOSITORY

from mogle_core.generation.backend import BackendError
from mogle_core.generation.comfy import TOY_FILES
from mogle_core.generation.jobs import read_jobs
from mogle_core.generation.manifest import Outcome, outcomes
from mogle_core.generation.run import Output, generate
from mogle_core.generation.server import ServerBackend
from mogle_core.generation.settings import Settings

pytestmark = pytest.mark.slow

JOBS = 3


def noise(prompt: dict[str, Any]) -> np.ndarray:
    generator = np.random.default_rng(prompt["sampler"]["inputs"]["seed"])
    return generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)


@pytest.fixture
def liar() -> Iterator[FakeComfy]:
    with FakeComfy(noise) as server:
        yield server


def run(
    urls: list[str], masks: Path, out: Path, small: Settings, patience: float = 0.7, grace: float = 0.2
) -> list[Outcome]:
    backend = ServerBackend(urls, TOY_FILES, patience=patience, grace=grace)
    list(generate(read_jobs(masks)[:JOBS], small, backend, Output(out)))
    return list(outcomes(out / "manifest.jsonl"))


def is_a_sentence(text: str | None) -> bool:
    return bool(text) and len(text) < 1000 and not any(ord(letter) < 32 or letter == "\u202e" for letter in text)


def test_there_are_enough_of_them() -> None:
    assert len(lies.LIES) + len(lies.AT_FIRST) + len(lies.QUEUE_LIES) >= 45


@pytest.mark.parametrize("name", lies.LIES)
def test_alone_each_job_fails_with_a_sentence(
    name: str, liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings
) -> None:
    endpoint, lie = lies.LIES[name]
    liar.lies = {endpoint: lie}
    found = run([liar.url], masks, tmp_path / "out", small)
    assert [outcome.status for outcome in found] == ["failed"] * JOBS
    assert all(is_a_sentence(outcome.error) for outcome in found), found
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("name", lies.QUEUE_LIES)
def test_a_queue_that_lies(name: str, liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings) -> None:
    liar.lies, liar.forgets = {"queue": lies.QUEUE_LIES[name]}, True
    found = run([liar.url], masks, tmp_path / "out", small)
    assert [outcome.status for outcome in found] == ["failed"] * JOBS
    assert all(is_a_sentence(outcome.error) for outcome in found), found


@pytest.mark.parametrize("name", lies.AT_FIRST)
def test_at_first_it_is_no_comfyui(name: str, liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings) -> None:
    liar.lies = {"object_info": lies.AT_FIRST[name]}
    with pytest.raises(BackendError, match="None of the servers answers") as raised:
        run([liar.url], masks, tmp_path / "out", small)
    assert is_a_sentence(str(raised.value))


@pytest.mark.parametrize("name", ["upload 500", "prompt 503", "prompt 404", "history html", "view EPS", "view empty"])
def test_beside_an_honest_one_nothing_is_lost(
    name: str, liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings
) -> None:
    """One whose prompts end in 5xx used to swallow nearly every job, as it was always the first to be free."""
    endpoint, lie = lies.LIES[name]
    liar.lies = {endpoint: lie}
    with FakeComfy(noise) as honest:
        found = run([liar.url, honest.url], masks, tmp_path / "out", small, grace=5.0)
    assert [outcome.status for outcome in found] == ["made"] * JOBS


def test_one_that_comes_back_is_taken_back(
    liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_once(handler: Any) -> None:
        liar.lies = {}
        lies.status(503)(handler)

    liar.lies = {"prompt": fails_once}
    with caplog.at_level("INFO"):
        found = run([liar.url], masks, tmp_path / "out", small, patience=60.0, grace=60.0)
    assert [outcome.status for outcome in found] == ["made"] * JOBS
    assert "is left out until it answers again" in caplog.text
    assert "answers again." in caplog.text


def test_a_redirect_is_named_and_not_followed(liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings) -> None:
    liar.lies = {"view": lies.redirect}
    found = run([liar.url], masks, tmp_path / "out", small)
    assert "redirects to http://127.0.0.1:9/elsewhere, which is not followed" in str(found[0].error)


def test_both_sizes_are_in_the_sentence(liar: FakeComfy, masks: Path, tmp_path: Path, small: Settings) -> None:
    liar.lies = {"view": lies.body(lies.picture(48, 16))}
    found = run([liar.url], masks, tmp_path / "out", small)
    assert "more than expected" in str(found[0].error) or "48 x 16 pixels where 32 x 32" in str(found[0].error)


def test_a_password_in_an_address_is_not_written_down(masks: Path, tmp_path: Path, small: Settings) -> None:
    with pytest.raises(BackendError) as raised:
        run(["http://me:secret@127.0.0.1:9"], masks, tmp_path / "out", small)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://", "ftp://host", "http://[::1", "http://host:port", "file:///etc/passwd"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="--server is"):
        ServerBackend([url], TOY_FILES)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_at_once_and_what_is_made_stays(masks: Path, tmp_path: Path) -> None:
    slow = threading.Event()

    def third_takes_for_ever(prompt: dict[str, Any]) -> np.ndarray:
        if len(server.prompts) > 2:
            slow.wait(120)
        return noise(prompt)

    with FakeComfy(third_takes_for_ever) as server:
        out = tmp_path / "out"
        settings = ["--toy", "--size", "32", "--label-space", "celebamask"]
        arguments = ["generate", str(masks), *settings, "--server", server.url, "--out", str(out)]
        process = subprocess.Popen(
            [sys.executable, "-m", "mogle_core.cli", *arguments],
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        while len(list(out.glob("*.png"))) < 2 or len(server.prompts) < 3:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)  # long before the server answers
        slow.set()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert len(list(out.glob("*.png"))) == 2
    assert [outcome.status for outcome in outcomes(out / "manifest.jsonl")] == ["made"] * 2
