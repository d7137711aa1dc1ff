"""Jobs from every source, their seeds, and an error message for each source that cannot be read."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mogle_core.dataset.errors import DatasetError
from mogle_core.generation.jobs import Job, read_jobs, read_shard, seed_of, shard


def test_seeds_depend_on_base_and_name_only() -> None:
    names = [str(number) for number in range(2000)]
    seeds = [seed_of(0, name) for name in names]
    assert len(set(seeds)) == 2000
    assert all(0 <= seed < 2**53 for seed in seeds)
    assert seed_of(1, "0") != seeds[0] == seed_of(0, "0")


def test_a_folder_of_masks_in_natural_order(masks: Path) -> None:
    (masks / "9.png").rename(masks / "10.png")
    jobs = read_jobs(masks, prompts="A woman.")
    assert [job.name for job in jobs] == [*map(str, range(9)), "10"]
    assert jobs[9] == Job("10", "A woman.", seed_of(0, "10"), masks / "10.png")


def test_a_line_of_prompts_for_each(masks: Path, tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text("\n".join(f"face {number}" for number in range(10)))
    assert [job.prompt for job in read_jobs(masks, str(lines))] == [f"face {number}" for number in range(10)]
    lines.write_text("one\ntwo\n")
    with pytest.raises(DatasetError, match="has 2 prompts for 10 jobs: a line for each"):
        read_jobs(masks, str(lines))


def test_captions_by_name(masks: Path, tmp_path: Path) -> None:
    captions = tmp_path / "text.json"
    captions.write_text(json.dumps({f"{number}.jpg": [f"first {number}", "second"] for number in range(10)}))
    assert read_jobs(masks, str(captions))[3].prompt == "first 3"
    captions.write_text(json.dumps({"0.jpg": "alone"}))
    with pytest.raises(DatasetError, match=r"has no caption for 9 of 10 jobs \(first: 1\)"):
        read_jobs(masks, str(captions))


def test_a_data_set_brings_its_captions(masks: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    masks.rename(root / "mask")
    (root / "text.json").write_text(json.dumps({f"{number}.jpg": [f"face {number}"] for number in range(10)}))
    jobs = read_jobs(root)
    assert [job.prompt for job in jobs] == [f"face {number}" for number in range(10)]
    assert {job.prompt for job in read_jobs(root, mode="mask")} == {""}
    text = read_jobs(root, mode="text")
    assert {job.mask for job in text} == {None}
    assert [job.seed for job in text] == [job.seed for job in jobs]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_table_of_jobs(ending: str, masks: Path) -> None:
    table = masks / f"jobs.{ending}"
    if ending == "csv":
        table.write_text("name,prompt,mask,seed\na,A man.,1.png,7\nb,A woman.,,\n")
    else:
        rows = [{"name": "a", "prompt": "A man.", "mask": "1.png", "seed": 7}, {"name": "b", "prompt": "A woman."}]
        table.write_text("\n".join(map(json.dumps, rows)))
    assert read_jobs(table) == [Job("a", "A man.", 7, masks / "1.png"), Job("b", "A woman.", seed_of(0, "b"), None)]


def test_prompts_alone_are_numbered(tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text("\n".join(f"face {number}" for number in range(12)))
    assert [job.name for job in read_jobs(None, str(lines))][:3] == ["00", "01", "02"]
    assert [job.prompt for job in read_jobs(None, "one " * 200)] == ["one " * 200]


def test_copies_have_different_seeds(masks: Path) -> None:
    jobs = read_jobs(masks, copies=3)
    assert [job.name for job in jobs[:4]] == ["0@0", "0@1", "0@2", "1@0"]
    assert len({job.seed for job in jobs}) == 30


def test_shards_are_a_partition_whatever_their_number(masks: Path) -> None:
    jobs = read_jobs(masks)
    for count in (1, 2, 3, 7, 20):
        parts = [shard(jobs, index, count) for index in range(count)]
        assert sorted((job for part in parts for job in part), key=jobs.index) == jobs
    shuffled = random.Random(0).sample(jobs, 10)
    assert {job.name: job.seed for job in shuffled} == {job.name: job.seed for job in jobs}


@pytest.mark.parametrize("text", ["2/2", "1", "-1/2", "0/0", "a/b"])
def test_a_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="0/2 and 1/2"):
        read_shard(text)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,prompt\n../a,x\n", "cannot be the name of a file"),
        ("name,prompt\na,x\na,y\n", "The name a is given twice"),
        ("name,seed\na,soon\n", "line 2: the seed is 'soon'"),
        ("name,seed\na,-1\n", "seeds run from 0"),
        ("name,seed\na,1e999\n", "the seed is '1e999'"),
        ("prompt\nx\n", "needs a name or a mask"),
        ("name\n", "nothing to make"),
    ],
)
def test_a_wrong_table_is_an_error_message(content: str, sentence: str, tmp_path: Path) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text(content)
    with pytest.raises(DatasetError, match=sentence):
        read_jobs(table)


def test_no_source_is_an_error_message(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no .*gone"):
        read_jobs(tmp_path / "gone")
    with pytest.raises(DatasetError, match="give a data set, masks, a table of jobs, or --prompts"):
        read_jobs(None)
    (tmp_path / "broken.jsonl").write_text('{"name": "a"\n')
    with pytest.raises(DatasetError, match="line 1: this is not JSON"):
        read_jobs(tmp_path / "broken.jsonl")


def test_an_endless_seed_of_json_is_named(tmp_path: Path) -> None:
    table = tmp_path / "jobs.jsonl"
    table.write_text('{"name": "a", "seed": 1e999}\n')
    with pytest.raises(DatasetError, match="line 1: the seed is inf"):
        read_jobs(table)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"name": "a", "promt": "x"}', "promt is unknown; was prompt meant"),
        ('{"name": "a", "text": "x"}', "text is unknown; was prompt meant"),
        ('{"name": "a", "prompt": ["x", "y"]}', "the prompt is"),
        ('{"name": "a", "prompt": 5}', "the prompt is 5"),
        ('{"name": "a", "seed": true}', "the seed is True"),
        ('{"name": "a", "seed": 1.5}', "the seed is 1.5"),
        ('{"name": "a", "seed": "1_000"}', "the seed is '1_000'"),
        ('{"name": "a", "seed": [1]}', "the seed is"),
        ('{"name": "a", "prompt": "x", "mask": ["a.png"]}', "the mask is"),
        ('{"name": ["a"]}', "the name is"),
    ],
)
def test_what_a_job_would_lose_is_refused(line: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(line + "\n")
    with pytest.raises(DatasetError, match=f"line 1: .*{sentence}"):
        read_jobs(tmp_path / "jobs.jsonl")


def test_cells_are_stripped_and_seeds_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("name, prompt, seed\n a , A woman. , 7 \n")
    assert read_jobs(tmp_path / "jobs.csv") == [Job("a", "A woman.", 7)]


def test_an_empty_prompt_is_the_empty_prompt(masks: Path) -> None:
    assert {job.prompt for job in read_jobs(masks, prompts="")} == {""}
    assert [job.prompt for job in read_jobs(None, prompts="")] == [""]


@pytest.mark.parametrize("second", ["a//b", "./a/b", "a/./b", "cafe\u0301", "a/b/"])
def test_names_of_one_file_are_one_name(second: str, tmp_path: Path) -> None:
    first = "caf\u00e9" if "cafe" in second else "a/b"
    (tmp_path / "jobs.csv").write_text(f"name,prompt\n{first},x\n{second},y\n", "utf-8")
    with pytest.raises(DatasetError, match="given twice"):
        read_jobs(tmp_path / "jobs.csv")


@pytest.mark.parametrize("name", ["con", "a/NUL.png", "lpt1", "a.", "a /b", "x:y", "a?", "../a", "/a"])
def test_names_that_some_system_forbids_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(f'name,prompt\n"{name}",x\n', "utf-8")
    with pytest.raises(DatasetError, match="cannot be the name of a file"):
        read_jobs(tmp_path / "jobs.csv")


def test_prompts_are_split_at_line_ends_only(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_bytes("\ufeffone\u2028two\x0cthree\r\nfour\r\n".encode())
    assert [job.prompt for job in read_jobs(None, prompts=str(tmp_path / "prompts.txt"))] == [
        "one\u2028two\x0cthree",
        "four",
    ]


@pytest.mark.parametrize(("first", "second"), [("a", "A"), ("set/Face", "set/face"), ("Éva", "éva"), ("X/1", "x/1")])
def test_names_that_differ_only_in_capitals_are_refused(first: str, second: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(f"name,prompt\n{first},x\n{second},y\n", "utf-8")
    with pytest.raises(DatasetError, match=f"The names {first} and {second} differ only in capitals"):
        read_jobs(tmp_path / "jobs.csv")
    (tmp_path / "jobs.csv").write_text(f"name,prompt\n{first},x\n{second}2,y\n", "utf-8")
    assert len(read_jobs(tmp_path / "jobs.csv")) == 2


@pytest.mark.parametrize(
    "prompts", ["promts.txt", "my prompts.TXT", "../lines.csv", "captions.json ", "jobs.jsonl", "a.tsv"]
)
@pytest.mark.parametrize("with_masks", [True, False])
def test_a_file_of_prompts_that_is_not_there_is_no_prompt(prompts: str, with_masks: bool, masks: Path) -> None:
    with pytest.raises(DatasetError, match="--prompts: there is no file .*If it is a prompt, remove its ending"):
        read_jobs(masks if with_masks else None, prompts)


@pytest.mark.parametrize("prompt", ["A woman.", "A man reading a txt", "Version 2.5", "txt", "a/b", "C:\\faces"])
def test_other_texts_are_prompts(prompt: str, masks: Path) -> None:
    assert {job.prompt for job in read_jobs(masks, prompt)} == {prompt}
    assert [job.prompt for job in read_jobs(None, prompt)] == [prompt]


TABLES = {
    "jobs.jsonl": "".join(f'{{"name": "{number}", "prompt": "face {number}"}}\n' for number in range(10)),
    "jobs.csv": "name,prompt\n" + "".join(f"{number},face {number}\n" for number in range(9)),
    "excel.csv": '"Name";"Prompt"\r\n' + "".join(f"{number};face {number}\r\n" for number in range(9)),
    "captions.tsv": "file_name\ttext\n" + "".join(f"{number}.png\tface {number}\n" for number in range(9)),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_tables_lines_are_no_prompts(table: str, masks: Path, tmp_path: Path) -> None:
    """There are as many of them as jobs."""
    (tmp_path / table).write_text(TABLES[table])
    with pytest.raises(DatasetError, match=f"{table} is a table, and --prompts takes a file with one prompt"):
        read_jobs(masks, str(tmp_path / table))


@pytest.mark.parametrize("line", ["Name, a woman", "{smiling} woman", "prompt", "A photo, a text and an image"])
def test_lines_that_begin_like_a_table_are_prompts(line: str, masks: Path, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text(f"{line}\n" * 10)
    assert {job.prompt for job in read_jobs(masks, str(tmp_path / "lines.csv"))} == {line}


@pytest.mark.parametrize(
    "name", [".a", "a/.b/c", "~$a", "Thumbs/1", "a/__MACOSX/1", "COM¹", "lpt³.x", "CONIN$", "conout$"]
)
def test_names_that_no_one_would_find_again_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(f"name,prompt\n{name},x\n", "utf-8")
    with pytest.raises(
        DatasetError, match="cannot be the name of a file within the output folder: .*(hidden|reserves)"
    ):
        read_jobs(tmp_path / "jobs.csv")


@pytest.mark.parametrize(
    "line", [r'{"name": "a\ud800"}', r'{"name": "a", "prompt": "\ud83d"}', r'{"name": "a", "mask": "\udfff.png"}']
)
def test_half_a_character_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(f'{{"name": "0"}}\n{line}\n')
    with pytest.raises(DatasetError, match="line 2: .*one half of a character"):
        read_jobs(tmp_path / "jobs.jsonl")


@pytest.mark.parametrize("again", ["name,prompt", " name , prompt", '"name","prompt"', "name,prompt,"])
def test_tables_that_were_joined_have_no_job_of_their_head(again: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(f"name,prompt\na,x\n\n{again}\nb,y\n")
    with pytest.raises(DatasetError, match=r"line 4: this line repeats the head \(name, prompt\)"):
        read_jobs(tmp_path / "jobs.csv")
