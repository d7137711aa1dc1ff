"""The benchmarks still run, at their smallest size. The times are not checked."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from support.merging import tokens_left

from mogle_core.model.flux.params import FluxParams

FOLDER = Path(__file__).parent


def printed(script: str, *options: str) -> str:
    run = subprocess.run([sys.executable, FOLDER / script, *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_a_step_of_every_kind_is_in_the_table() -> None:
    table = printed("step.py", "--sizes", "32", "--rounds", "1", "--threads", "1")
    for row in (
        "floor",
        "plain FLUX",
        "mask stream",
        "  at strength 0.7",
        "mask_tokens half",
        "mask_tokens merged",
        "modulations",
    ):
        assert re.search(rf"^{row}.*\d\.\d{{3}}", table, re.MULTILINE), row
    for row in (
        "refresh_every 4",
        "refresh_every 0, keys once in 20 steps",
        "mask_tokens merged, keys once in 20 steps",
        "adaptive",
        "static, the first run",
    ):
        assert re.search(rf"^{row}.*: \d\.\d{{3}} of the exact stream", table, re.MULTILINE), row
    assert re.search(r"^static, a second run.*of plain FLUX$", table, re.MULTILINE)
    assert re.search(r"^torch.bfloat16( +\d+\.\d){5}$", table, re.MULTILINE)


def test_a_whole_run_is_the_sum_of_its_steps() -> None:
    sys.path.append(str(FOLDER))
    import step

    seconds = {step.KEEPING: [2.0, 4.0], step.REUSING: [1.0, 2.0], step.GATE: [0.1, 0.2], step.STATIC: [0.5, 1.0]}
    seconds |= {step.MERGED_KEEPING: [1.5, 3.0], step.MERGED_REUSING: [0.5, 1.0]}
    runs = step.whole_runs(seconds, steps=10)
    assert runs["refresh_every 2"] == [1.5, 3.0]
    assert runs["refresh_every 0, keys once in 10 steps"] == pytest.approx([1.1, 2.2])
    assert runs["mask_tokens merged, keys once in 10 steps"] == pytest.approx([0.6, 1.2])
    assert runs["adaptive, 4 of 20 steps"] == pytest.approx([0.2 * 2 + 0.8 * 1.1, 0.2 * 4 + 0.8 * 2.2])
    assert runs["static, the first run of 10 steps"] == pytest.approx([1.05, 2.1])
    assert runs["static, a second run with another prompt"] == [1.0, 2.0]


@pytest.mark.slow
def test_memory_from_shapes_is_memory_counted() -> None:
    shapes, counted = (line.partition(" ") for line in printed("memory.py", "--check").splitlines())
    assert (shapes[0], counted[0]) == ("meta", "cpu")
    assert shapes[2] == counted[2]
    assert "'mask_tokens merged'" in shapes[2]


@pytest.mark.parametrize("share", [0.0, 0.56, 1.0])
def test_the_memory_told_to_comfyui_covers_merged_tokens(share: float) -> None:
    """At FLUX.1-dev's width, computed on shapes: the step, and the experts' outputs, which a run stores.

    Fewer blocks change nothing, because their results follow one another in the same memory.
    """
    sys.path.append(str(FOLDER))
    import memory

    side, params = 32, FluxParams(depth=1, depth_single_blocks=2)
    found = memory.peaks(params, side, 512, torch.bfloat16, torch.device("meta"), Namespace(official=None), share)
    left = tokens_left((side, side), share)
    assert left == pytest.approx(1 - 0.75 * share, abs=0.01)
    stored = 20 * 2 * side * side * 64 * torch.bfloat16.itemsize  # the masks, and the experts' outputs
    mask = memory.told(side, 1, left) - memory.told(side, 1, 0)
    for row in ("mask_tokens merged", "  merged, and keeps its keys"):
        assert found[row] + stored < memory.told(side, 1, left)
        assert found[row] - found["plain FLUX"] + stored < mask
    assert share == 0 or found["mask_tokens merged"] < found["mask stream"]
