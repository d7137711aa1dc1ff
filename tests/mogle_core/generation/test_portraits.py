"""Portraits from Python: the pictures of `mogle generate`, in under ten lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.places import REPOSITORY

from mogle_core.cli import main
from mogle_core.generation.portraits import Portraits
from mogle_core.masks.errors import MaskError

SMALL = {"width": 64, "height": 64, "steps": 2}
PROMPT = "A woman with long brown hair."
MASK = REPOSITORY / "docs/mm_celeba_27000.png"


@pytest.fixture(scope="module")
def portraits() -> Iterator[Portraits]:
    with Portraits.toy() as made:
        yield made


def same(one: Image.Image, other: Image.Image) -> bool:
    return bool((np.array(one) == np.array(other)).all())


def test_it_is_the_commands_picture_to_the_bit(portraits: Portraits, tmp_path: Path) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text(f'name,prompt,mask,seed\na,"{PROMPT}",{MASK},7\n')
    out = tmp_path / "out"
    assert main(["generate", str(table), "--toy", "--size", "64", "--steps", "2", "--out", str(out)]) == 0
    assert same(portraits.make(PROMPT, MASK, 7, **SMALL), Image.open(out / "a.png"))


def test_mask_prompt_seed_and_strength_count(portraits: Portraits) -> None:
    first = portraits.make(PROMPT, MASK, **SMALL)
    assert first.size == (64, 64)
    assert same(portraits.make(PROMPT, str(MASK), **SMALL), first)
    assert same(portraits.make(PROMPT, Image.open(MASK), **SMALL), first)
    for other in (
        portraits.make(PROMPT, **SMALL),
        portraits.make("A man with a hat.", MASK, **SMALL),
        portraits.make(PROMPT, MASK, 1, **SMALL),
        portraits.make(PROMPT, MASK, strength=0.5, **SMALL),
    ):
        assert not same(other, first)


def test_what_cannot_be_made_is_a_sentence(portraits: Portraits, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        portraits.make(PROMPT, MASK, width=50)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    with pytest.raises(MaskError):
        portraits.make(PROMPT, tmp_path / "photo.png", **SMALL)
    with pytest.raises(OSError, match=r"absent\.png"):
        portraits.make(PROMPT, tmp_path / "absent.png")


def test_the_readmes_example_has_under_ten_lines_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Portraits" in block)
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/mm_celeba_27000.png").write_bytes(MASK.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(code, {})  # noqa: S102
    assert Image.open(tmp_path / "portrait.png").size == (128, 128)
