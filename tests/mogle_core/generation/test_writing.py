"""Image files are written whole or not at all, and other tools can read their metadata."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from mogle_core.generation.jobs import Job
from mogle_core.generation.settings import Settings
from mogle_core.generation.writing import Notes, read_digest, write_picture

PICTURE = torch.randint(0, 255, (32, 48, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
JOB = Job("a", "Ein Gesicht, größer.", 7, Path("m/a.png"))
NOTES = Notes(JOB, Settings(), "abc", {"3": {"class_type": "KSampler"}})


def test_png_holds_the_pixels_and_all_metadata(tmp_path: Path) -> None:
    write_picture(PICTURE, tmp_path / "a.png", NOTES)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert np.array_equal(np.array(image), PICTURE.numpy())
        assert json.loads(image.info["prompt"]) == {"3": {"class_type": "KSampler"}}, "what ComfyUI opens"
        prompt, settings = image.info["parameters"].split("\n")
        assert prompt == "Ein Gesicht, größer."
        assert settings.startswith("Steps: 28, Sampler: Euler")
        assert "Seed: 7, Size: 512x512" in settings
        whole = json.loads(image.info["mogle"])
        assert whole["job"]["seed"] == 7
        assert whole["settings"]["guidance"] == 3.5
        assert "generated" in image.info["Software"]
        assert "trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    assert read_digest(tmp_path / "a.png") == "abc"


def test_jpeg_holds_the_metadata_in_exif(tmp_path: Path) -> None:
    write_picture(PICTURE, tmp_path / "a.jpg", NOTES, quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        exif = image.getexif()
        assert "generated" in exif[0x0131]
        comment = exif.get_ifd(0x8769)[0x9286]
        assert comment[8:].decode("utf-16-be") == NOTES.parameters
    assert read_digest(tmp_path / "a.jpg") == "abc"


def test_quality_is_as_asked(tmp_path: Path) -> None:
    for quality in (30, 95):
        write_picture(PICTURE, tmp_path / f"{quality}.jpg", NOTES, quality)
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no picture"])
def test_a_file_that_is_not_an_image_has_no_digest(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert read_digest(tmp_path / "a.png") is None
    assert read_digest(tmp_path / "gone.png") is None


def test_nothing_is_left_of_a_picture_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PngImagePlugin.Image.Image, "save", fails)
    with pytest.raises(OSError, match="No space"):
        write_picture(PICTURE, tmp_path / "a.png", NOTES)
    assert list(tmp_path.iterdir()) == []
