"""Whatever a score file holds, reading gives scores or an error in words. MOGLE_FUZZ=10000 tries that many."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mogle_core.evaluation.metrics.detection import detection, read_scores
from mogle_core.evaluation.score_files import read_named_scores

fuzz = settings(
    max_examples=int(os.environ.get("MOGLE_FUZZ", 60)), deadline=None, suppress_health_check=list(HealthCheck)
)
cells = st.sampled_from(["a", "b.png", "0", "1", "0.5", "1,5", "nan", "-inf", "1e999", "", " ", "\u0661", "1_0", "0x1"])
values = (
    cells
    | st.text(max_size=6)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.lists(st.none())
    | st.just("\ud83d")
)
columns = st.sampled_from(["name", "score", "label", "Score", "scores", "\ufeffname"])
proper = st.sampled_from([["name", "score"], ["name", "label", "score"]])


@st.composite
def stored(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file's ending and bytes: rows under their head, any cells, objects a line, or anything."""
    kind = draw(st.sampled_from(["proper", "csv", "jsonl", "bytes"]))
    if kind == "bytes":
        return draw(st.sampled_from([".csv", ".jsonl", ".tsv", ".txt", ""])), draw(st.binary(max_size=80))
    if kind == "jsonl":
        lines = draw(st.lists(st.dictionaries(columns, values, max_size=4), max_size=4))
        return ".jsonl", "\n".join(map(json.dumps, lines)).encode("utf-8", "replace")
    separator, end = draw(st.sampled_from([",", ";", "\t"])), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    if kind == "proper":
        head = draw(proper)
        row = st.tuples(*(st.sampled_from(["0", "1"]) if column == "label" else cells for column in head)).map(list)
        lines = [head, *draw(st.lists(row, max_size=3))]
    else:
        row = st.lists(cells | st.text(max_size=6), max_size=4)
        lines = [draw(proper | st.lists(columns, max_size=4)), *draw(st.lists(row, max_size=4))]
    text = end.join(separator.join(line) for line in lines)
    return ".csv", text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")


def result_or_words(read: Callable[[], object]) -> object:
    try:
        return read()
    except ValueError as error:
        assert not isinstance(error, UnicodeError)
        assert "fuzz" in str(error) and len(str(error)) < 2000
        return None


@fuzz
@given(file=stored())
def test_any_score_file(file: tuple[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{file[0]}"
    path.write_bytes(file[1])
    named = result_or_words(lambda: read_named_scores(path))
    if isinstance(named, dict):
        assert named and all(name and math.isfinite(score) for name, score in named.items())
    detected = result_or_words(lambda: read_scores(path))
    if isinstance(detected, tuple):
        scores, labels = detected
        assert len(scores) == len(labels) > 0
        assert bool(scores.isfinite().all()) and set(labels.tolist()) <= {0, 1}
        if len(set(labels.tolist())) == 2:
            found = detection(scores, labels)
            assert all(0 <= value <= 1 for value in (found.auc, found.eer, found.ap))
