"""Scores of other programs: read whatever wrote them, or refused with the line; never an empty table."""

from __future__ import annotations

from pathlib import Path

import pytest

from mogle_core.evaluation.metrics.detection import read_scores
from mogle_core.evaluation.score_files import read_named_scores


def file(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "name,score\n1,0.5\na/2,-1\n",
        "name;score\n1;0,5\na/2;-1\n",
        "name\tscore\n1.png\t0.5\na\\2.JPG\t-1\n",
        "name , score\n./1.webp , 0.5\n a/2 , -1e0 \n",
    ],
)
def test_every_form_is_the_same_scores(text: str, tmp_path: Path) -> None:
    assert read_named_scores(file(tmp_path / "s.csv", text)) == {"1": 0.5, "a/2": -1.0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,score\n1,nan\n", "expected a picture's name and a number"),
        ("name,score\n1,inf\n", "expected a picture's name and a number"),
        ("name,score\n1,\n", "expected a picture's name and a number"),
        ("name,score\n1,high\n", "expected a picture's name and a number"),
        ("name,score\n1,1_0\n", "expected a picture's name and a number"),
        ("name,score\n1,٣\n", "expected a picture's name and a number"),
        ("name,score\n1,0x10\n", "expected a picture's name and a number"),
        ("name;score\n1;1.234,5\n", "expected a picture's name and a number"),
        ("name,score\n1,50%\n", "expected a picture's name and a number"),
        ("name,score\n ,1\n", "expected a picture's name and a number"),
        ("name,score\n.png,1\n", "expected a picture's name and a number"),
        ("name,value\n1,2\n", "no column score"),
        ("picture,score\n1,2\n", "no column name"),
        ("name,score\n1,2\n1.png,3\n", "given before"),
        ("name,score\n", "holds no scores"),
        ("", "holds no scores"),
    ],
)
def test_what_is_no_score_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"s\.csv.*{sentence}"):
        read_named_scores(file(tmp_path / "s.csv", text))


def test_a_detectors_scores_are_read_with_semicolons(tmp_path: Path) -> None:
    scores, labels = read_scores(file(tmp_path / "d.csv", "name;label;score\na;1;0,9\nb;0;0,1\n"))
    assert scores.tolist() == [0.9, 0.1]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize("text", ["name,label,score\n", "name,label,score\na,1,nan\n", "name,label,score\na,2,1\n"])
def test_a_detectors_file_without_scores_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"d\.csv"):
        read_scores(file(tmp_path / "d.csv", text))


@pytest.mark.parametrize("name", ["null", "true", '["a"]', "1.5", '{"a": 1}', '""'])
def test_a_name_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl").write_text(f'{{"name": {name}, "score": 1}}\n')
    with pytest.raises(ValueError, match=r"scores.jsonl, line 1: .*expected a picture's name and a number"):
        read_named_scores(tmp_path / "scores.jsonl")


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "5.", "1,5", "1e-3", "2E+2"])
def test_numbers_as_tables_have_them_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(f"name;score\n1;{text}\n")
    assert read_named_scores(tmp_path / "scores.csv") == {"1": float(text.replace(",", "."))}
