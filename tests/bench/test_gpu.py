"""The command for a GPU still runs, on any device and in any state of its parts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from support.rows import Rows

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER))

import gpu  # noqa: E402
import gpu_kit  # noqa: E402


def ran(out: Path, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    """Status, rows and what was printed of a small run."""
    command = [sys.executable, FOLDER / "gpu.py", "--small", "--out", str(out), "--kit", str(out / "none"), *options]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.returncode, json.loads((out / "gpu.json").read_text())["rows"], run.stdout


@pytest.mark.slow
def test_all_parts_run_small(tmp_path: Path) -> None:
    """Those that need a ComfyUI say so where there is none; `tests/host/test_gpu_parts.py` runs them."""
    status, rows, printed = ran(tmp_path)
    assert status == 0, printed
    assert {row["part"] for row in rows if row["what"] == "the part's time"} == set(gpu.PARTS)
    named = [row["what"] for row in rows]
    for what in (
        "golden velocities",
        "toy pictures",
        "64 px, bf16: mask stream",
        "64 px, fp8: refresh_every 4",
        "64 px, bf16: mask_tokens merged",
        "64 px, fp8: mask_tokens merged, keys once in 28 steps",
        "mask tokens left after merging",
    ):
        assert any(what in name for name in named), what
    for what in ("fp8, 28 blocks offloaded, batch 1", "whole compiled, mask stream", "core, float32, 64 px"):
        assert any(what in name for name in named), what
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert sorted(map(str, lines)) == sorted(map(str, rows))


@pytest.mark.slow
def test_a_part_that_fails_stops_no_other_and_is_in_the_status(tmp_path: Path) -> None:
    parts = ("lowvram", "dynamicvram", "official")
    status, rows, printed = ran(
        tmp_path, *(f"--only={part}" for part in parts), "--break=lowvram=raises", "--break=dynamicvram=dies"
    )
    assert status == 1
    times = {row["part"]: row for row in rows if row["what"] == "the part's time"}
    assert set(times) == set(parts)
    assert (times["lowvram"]["ok"], times["dynamicvram"]["ok"]) == (False, False)
    assert "made to fail" in times["lowvram"]["note"]
    assert "ok" not in times["official"]
    assert printed.count("FAILED") == 2


def test_a_part_that_hangs_is_ended() -> None:
    program = "import time; print('so far', flush=True); time.sleep(1000)"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert list(gpu.lines_until(process, time.monotonic() + 5)) == ["so far\n"]
    assert process.returncode == -9


def test_without_time_left_a_part_is_not_begun(tmp_path: Path) -> None:
    status, rows, _ = ran(tmp_path, "--only=official", "--seconds=0.5")
    assert (status, [row["note"] for row in rows]) == (0, ["not measured: no time was left"])


def test_what_goes_wrong_in_a_row_is_that_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows("part", torch.device("cpu"), False, time.monotonic() + 10, sys.stdout)
    with rows.attempt("one"):
        raise ValueError("so")
    assert rows.time_for("short", 5) and not rows.time_for("two", 100)
    rows.check("three", float("nan"), 1.0)
    rows.check("four", 0.5, 1.0)
    one, two, three, four = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["ok"], one["note"]) == (False, "ValueError: so")
    assert "ok" not in two and two["note"].startswith("not measured: ")
    assert (three["ok"], four["ok"]) == (False, True)


# --- The kit.


def test_the_kit_keeps_to_its_limit(tmp_path: Path) -> None:
    kit, large, small = gpu_kit.Kit(tmp_path / "kit", gpu_kit.MIB), tmp_path / "large.whl", tmp_path / "small.whl"
    kit.folder.mkdir()
    large.write_bytes(bytes(gpu_kit.MIB))
    small.write_bytes(bytes(gpu_kit.MIB // 2))
    assert [kit.keep(large, "large"), kit.keep(small, "small")] == [False, True]
    assert kit.lines[0] == "left out      large: its 1.0 MiB do not fit"
    assert [file.name for file in kit.folder.iterdir()] == ["small.whl"]


@pytest.mark.parametrize(
    ("wheel", "expected"),
    [
        ("psutil-7.2-cp36-abi3-manylinux1_x86_64.whl", True),
        ("rich-1-py3-none-any.whl", True),
        ("six-1-py2.py3-none-any.whl", True),
        ("pillow-13-cp27-cp27m-manylinux1_x86_64.whl", False),
        (f"pillow-13-cp3{sys.version_info.minor}-cp3{sys.version_info.minor}-manylinux1_x86_64.whl", True),
    ],
)
def test_which_wheels_are_this_pythons(wheel: str, expected: bool) -> None:
    assert gpu_kit.fits(wheel) == expected


def test_a_kits_packages_and_hosts_are_told(tmp_path: Path) -> None:
    kit, folder = tmp_path / "kit", tmp_path / "unpacked"
    kit.mkdir()
    for name, file in (("ComfyUI.zip", "nodes.py"), ("one-1-py3-none-any.whl", "one.py")):
        with zipfile.ZipFile(kit / name, "w") as packed:
            packed.writestr(file, "")
    told = gpu_kit.unpack(kit, folder)
    assert (Path(told["COMFYUI_PATH"]) / "nodes.py").is_file()
    assert (Path(told["PYTHONPATH"].split(":")[0]) / "one.py").is_file()
    assert "OFFICIAL_PATH" not in told


DOCS = FOLDER.parents[1] / "docs"


def test_what_the_docs_leave_unmeasured_names_the_part_that_measures_it() -> None:
    """Or says that none can. A part's name stands in backquotes."""
    open_figures = re.compile(r"\*\*not measured\*\*|none is\s+measured")
    paragraphs = [
        paragraph
        for page in ("speed.md", "training.md")
        for paragraph in (DOCS / page).read_text(encoding="utf-8").split("\n\n")
        if open_figures.search(paragraph)
    ]
    assert len(paragraphs) >= 5
    for paragraph in paragraphs:
        named = any(f"`{name}`" in paragraph or f"--only {name}`" in paragraph for name in gpu.PARTS)
        assert named or "No part of `gpu.py` can" in paragraph, paragraph[:300]
