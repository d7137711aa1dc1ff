"""Portraits from Python: the pictures of `mogle generate`, in under ten lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import documented
from support.places import REPOSITORY

from mogle_core.cli import main
from mogle_core.generation.local import LocalBackend
from mogle_core.generation.models import Sources, toy_sources
from mogle_core.generation.portraits import TOY_SETTINGS, Portraits
from mogle_core.masks.errors import MaskError
from mogle_core.toy.places import FILES, TOY, WEIGHTS

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


def examples() -> tuple[str, str]:
    """The README's code for the toy and for FLUX.1."""
    found = [code for code in documented.examples("README.md") if "Portraits" in code]
    toy, flux = sorted(found, key=documented.needs_flux)
    return toy, flux


@pytest.mark.parametrize("code", examples(), ids=["toy", "flux"])
def test_the_readmes_examples_have_under_ten_lines(code: str) -> None:
    assert len([line for line in code.splitlines() if line.strip()]) < 10


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/mm_celeba_27000.png").write_bytes(MASK.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(examples()[0], {})  # noqa: S102
    assert Image.open(tmp_path / "portrait.png").size == (128, 128)


def test_with_flux_only_the_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's code for FLUX.1 runs with the toy's models behind the names of its files."""
    toy, flux = examples()
    assert toy.splitlines()[-2:] == flux.splitlines()[-2:]
    asked = []

    def opened(sources: Sources, device: str) -> LocalBackend:
        asked.append(sources)
        return LocalBackend(toy_sources(), "cpu")

    monkeypatch.setattr("mogle_core.generation.portraits.LocalBackend", opened)
    monkeypatch.setattr("mogle_core.generation.portraits.Settings", lambda: TOY_SETTINGS)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/mm_celeba_27000.png").write_bytes(MASK.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(toy, {})  # noqa: S102
    with_toy = Image.open(tmp_path / "portrait.png").convert("RGB")
    exec(flux, {})  # noqa: S102
    assert same(Image.open(tmp_path / "portrait.png"), with_toy)
    assert asked[-1] == Sources(
        "flux1-dev.safetensors", "ae.safetensors", "clip_l.safetensors", "t5xxl_fp16.safetensors",
        mogle=Path("global_local_mask_moe.pt"), lora=Path("pytorch_lora_weights.safetensors"),
    )  # fmt: skip


def test_files_that_are_not_there_are_named() -> None:
    with pytest.raises(ValueError, match=r"There is nothing for CLIP-L at clip_l\.safetensors"):
        Portraits.flux("flux1-dev.safetensors", "ae.safetensors", "clip_l.safetensors", "t5.safetensors", device="cpu")


def test_named_files_make_the_toys_picture(portraits: Portraits) -> None:
    """`flux` opens what it is given, here the toy's own files."""
    checkpoint = WEIGHTS / FILES["mogle"]
    with Portraits.flux(
        *[TOY] * 4, mogle=checkpoint, lora=str(checkpoint), settings=TOY_SETTINGS, device="cpu", base_dtype="float32"
    ) as named:
        assert same(named.make(PROMPT, MASK, **SMALL), portraits.make(PROMPT, MASK, **SMALL))
