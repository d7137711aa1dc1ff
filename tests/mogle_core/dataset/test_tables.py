"""Tables of people: nothing in them is lost in silence, whatever program wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mogle_core.dataset import DatasetError
from mogle_core.dataset.captions import read_captions
from mogle_core.dataset.manifest import read_manifest
from mogle_core.dataset.tables import check_keys, rows

KNOWN = ("name", "prompt", "mask", "seed")


def read(path: Path, content: str | bytes) -> list[dict[str, object]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [row for _, row in rows(path)]


EXPECTED = [{"name": "a", "prompt": "A woman, größer", "seed": "1"}]
WRITTEN = {
    "plain": 'name,prompt,seed\na,"A woman, größer",1\n',
    "spaces": 'name , prompt, seed\n a , "A woman, größer" , 1 \n',
    "semicolons": "name;prompt;seed\na;A woman, größer;1\n",
    "tabs": "name\tprompt\tseed\na\tA woman, größer\t1\n",
    "sep line": "sep=;\nname;prompt;seed\na;A woman, größer;1\n",
    "CR LF and empty lines": 'name,prompt,seed\r\n\r\na,"A woman, größer",1\r\n,,\r\n',
    "mark": '\ufeffname,prompt,seed\na,"A woman, größer",1\n',
    "utf-16": 'name,prompt,seed\na,"A woman, größer",1\n'.encode("utf-16"),
    "latin-1": "name;prompt;seed\na;A woman, größer;1\n".encode("latin-1"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_every_programs_csv_is_read(how: str, tmp_path: Path) -> None:
    assert read(tmp_path / "jobs.csv", WRITTEN[how]) == EXPECTED


def test_cells_may_hold_line_ends_and_other_separators(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", 'name,prompt\na,"one\ntwo\u2028three"\n') == [
        {"name": "a", "prompt": "one\ntwo\u2028three"}
    ]
    assert read(tmp_path / "a.jsonl", '{"name": "a", "prompt": "one\u2028two"}\n') == [
        {"name": "a", "prompt": "one\u2028two"}
    ]


WRONG = {
    "short row": ("name,prompt,seed\na,x\n", "line 2: 2 cells, where the head has 3"),
    "long row": ("name,prompt\na,x,1,2\n", "line 2: 4 cells, where the head has 2"),
    "double column": ("name,prompt,name\na,x,b\n", "'name' is given twice"),
    "unnamed column": ("name,,prompt\na,x,b\n", "has no name"),
    "open quote": ('name,prompt\na,"x\n', "not a table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_row_that_would_lose_cells_is_refused(case: str, tmp_path: Path) -> None:
    content, sentence = WRONG[case]
    with pytest.raises(DatasetError, match=f"jobs.csv.*{sentence}"):
        read(tmp_path / "jobs.csv", content)


@pytest.mark.parametrize(
    ("name", "near"), [("promt", "prompt"), ("text", "prompt"), ("Seed", "seed"), ("file", "name"), ("maks", "mask")]
)
def test_an_unknown_column_is_refused_with_the_one_meant(name: str, near: str) -> None:
    with pytest.raises(DatasetError, match=f"{name} is unknown; was {near} meant"):
        check_keys("jobs.csv, line 2", {"name": "a", name: "x"}, KNOWN)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"mask": "a.png", "caption": "x", "captions": ["y"]}', "both caption and captions"),
        ('{"mask": ""}', "mask is missing"),
        ('{"mask": ["a.png"]}', "mask is missing"),
        ('{"mask": "a.png", "name": 5}', "name is 5"),
        ('{"mask": "a.png", "picture": [1]}', "picture is missing"),
        ('{"mask": "a.png", "captoin": "x"}', "was caption meant"),
        ('{"mask": "a.png", "mask": "b.png"}', "given twice"),
        ('{"mask": "a.png", "captions": "x", "split": ["train"]}', "split is"),
    ],
)
def test_a_manifests_line_that_would_lose_something_is_refused(line: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(line + "\n")
    with pytest.raises(DatasetError, match=sentence):
        read_manifest(tmp_path / "m.jsonl", pictures=False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_captions_have_no_mark_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "7.txt").write_bytes("Größer.\r\nSchön.".encode(encoding))
    assert read_captions(tmp_path).of("7") == ("Größer.", "Schön.")
    (tmp_path / "c.json").write_bytes(json.dumps({"7.jpg": "Größer."}, ensure_ascii=False).encode(encoding))
    assert read_captions(tmp_path / "c.json").of("7") == ("Größer.",)


def test_names_meet_in_either_unicode_form(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    (tmp_path / f"{decomposed}.txt").write_text("A café.", "utf-8")
    assert read_captions(tmp_path).of(composed) == ("A café.",)
    (tmp_path / "c.json").write_text(json.dumps({f"{decomposed}.jpg": "x"}), "utf-8")
    assert read_captions(tmp_path / "c.json").of(composed) == ("x",)


@pytest.mark.parametrize(
    ("one", "other"), [("7.png", "7.jpg"), ("7", "7.png"), ("caf\u00e9", "cafe\u0301"), ("7.PNG", "7.png")]
)
def test_two_captions_of_one_name_are_refused(one: str, other: str, tmp_path: Path) -> None:
    """One of them would be lost."""
    (tmp_path / "c.json").write_text(json.dumps({one: ["x"], other: ["y"]}))
    with pytest.raises(DatasetError, match="captions under two names"):
        read_captions(tmp_path / "c.json")
    (tmp_path / "c.json").write_text(json.dumps({one: ["x"], other: "x"}))
    assert read_captions(tmp_path / "c.json").of(one.partition(".")[0]) == ("x",)
