"""`mogle generate` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mogle_core.cli import main
from mogle_core.commands.generate import shard_of


def test_masks_and_prompts_to_pictures(masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["generate", str(masks), "--toy", "--size", "32", "--steps", "1", "--out", str(out), "--mode", "mask"]
    arguments += ["--label-space", "celebamask"]
    assert main(arguments) == 0
    assert f"10 made, 0 kept, 0 failed: {out}" in capsys.readouterr().out
    (masks / "3.png").write_bytes(b"no picture")
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "0 made, 9 kept, 1 failed" in said.out
    assert "manifest.jsonl says why" in said.err
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 11
    assert "3.png" in rows[-1]["error"]


@pytest.mark.parametrize("prompt", ["", "  ", "A face."])
def test_one_prompt_for_all_may_be_empty(prompt: str, masks: Path, tmp_path: Path) -> None:
    arguments = ["generate", str(masks), "--toy", "--size", "32", "--steps", "1", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--label-space", "celebamask", "--shard", "0/10", "--prompts", prompt]) == 0
    (row,) = [json.loads(line) for line in next((tmp_path / "out").glob("*.jsonl")).read_text().splitlines()]
    assert row["prompt"] == prompt.strip()
    assert row["status"] == "made"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--prompts", "promts.txt"], "--prompts: there is no file promts.txt"),
        (["--size", "33"], "The width is 33: choose a multiple of 16"),
        (["--size", "big"], "expected WIDTHxHEIGHT"),
        (["--shard", "2/2"], "shards count from 0"),
        (["--quality", "0"], "--quality is 0"),
        (["--batch", "0"], "--batch is 0"),
        (["--copies", "0"], "--copies is 0"),
        (["--server", "http://127.0.0.1:9"], "None of the servers answers. There is no ComfyUI at http://127.0.0.1:9"),
        (["--server", "x", "--official-compat"], "leave out --server"),
        (["--mogle", "gone.safetensors"], "There is no file gone.safetensors"),
    ],
)
def test_impossible_options_are_an_error_message(
    more: list[str], sentence: str, masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(masks), "--toy", "--size", "32", "--out", str(tmp_path / "out"), *more]) == 1
    assert sentence in capsys.readouterr().err


def test_weights_that_are_not_named(masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(masks), "--vae", "ae.safetensors", "--out", str(tmp_path / "out")]) == 1
    assert "--transformer, --clip-l, --t5xxl missing" in capsys.readouterr().err


def test_the_processes_of_accelerate_share_a_shard() -> None:
    assert shard_of(None, {}) == (0, 1)
    assert shard_of(None, {"RANK": "1", "WORLD_SIZE": "4"}) == (1, 4)
    shares = [shard_of(f"{index}/2", {"RANK": str(rank), "WORLD_SIZE": "3"}) for index in (0, 1) for rank in range(3)]
    assert shares == [(number, 6) for number in range(6)]
