"""Whatever a table, manifest or caption file holds, reading gives rows or a DatasetError. MOGLE_FUZZ=10000 for more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mogle_core.dataset import DatasetError
from mogle_core.dataset.captions import read_captions
from mogle_core.dataset.manifest import read_manifest
from mogle_core.dataset.tables import rows
from mogle_core.generation.jobs import read_jobs

fuzz = settings(
    max_examples=int(os.environ.get("MOGLE_FUZZ", 60)), deadline=None, suppress_health_check=list(HealthCheck)
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["a.png", "../b", "\ud83d", "a\udfff"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["name", "prompt", "mask", "seed", "picture", "caption", "captions", "split", "text"])
objects = st.dictionaries(keys | st.text(max_size=5), values, max_size=5)
separators = st.sampled_from([",", ";", "\t", '"', "\n", "\r\n", " ", "\u2028", "\ufeff", "\0", "sep=;"])
csv_texts = st.lists(separators | st.text(max_size=8) | keys, max_size=25).map("".join)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])


@st.composite
def stored(draw: st.DrawFn) -> bytes:
    """A file's bytes: objects a line, cells, or anything."""
    kind = draw(st.sampled_from(["jsonl", "csv", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=80))
    text = (
        draw(csv_texts)
        if kind == "csv"
        else "\n".join(json.dumps(draw(objects)) for _ in range(draw(st.integers(0, 3))))
    )
    return text.encode(draw(encodings), "replace")


def fails_only_in_words(read: Callable[[], object]) -> None:
    try:
        read()
    except DatasetError as error:
        assert 10 < len(str(error)) < 2000


@fuzz
@given(content=stored(), ending=st.sampled_from([".csv", ".jsonl", ".json", ".txt", ".tsv"]))
def test_any_table(content: bytes, ending: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{ending}"
    path.write_bytes(content)
    fails_only_in_words(lambda: list(rows(path)))
    fails_only_in_words(lambda: read_manifest(path, pictures=False))
    fails_only_in_words(lambda: read_manifest(path))
    fails_only_in_words(lambda: read_captions(path))
    fails_only_in_words(lambda: read_jobs(path))
    fails_only_in_words(lambda: read_jobs(None, prompts=str(path)))


@fuzz
@given(content=stored(), name=st.text(max_size=6))
def test_any_folder_of_captions(content: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "captions"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(content)
    fails_only_in_words(lambda: read_captions(folder).of("a"))
    fails_only_in_words(lambda: read_captions(folder).of(name))


@fuzz
@given(prompts=st.text(max_size=40))
def test_any_prompt(prompts: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    fails_only_in_words(lambda: read_jobs(None, prompts=prompts))
    path: Path = tmp_path_factory.getbasetemp() / "one.jsonl"
    path.write_text('{"name": "a", "prompt": "x"}\n')
    fails_only_in_words(lambda: read_jobs(path, prompts=prompts))
