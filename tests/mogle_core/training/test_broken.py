"""Every broken data set or configuration ends in an error that names the file or the key, before anything is
encoded, and leaves no partial file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.small_sets import PlainText, PlainVAE, config, label_map, write_set

from mogle_core.cli import main
from mogle_core.masks.decouple import index_image
from mogle_core.masks.labels import PALETTE
from mogle_core.model.encoders import Encoders
from mogle_core.support.whole_files import write_png
from mogle_core.training.config.reading import config_toml
from mogle_core.training.data.samples import open_samples

Break = Callable[[Path], dict[str, dict[str, object]] | None]


def truncated_picture(root: Path) -> None:
    path = root / "images/2.png"
    path.write_bytes(path.read_bytes()[:200])


def no_picture(root: Path) -> None:
    (root / "images/2.png").write_text("hello")


def truncated_mask(root: Path) -> None:
    path = root / "masks/2.png"
    path.write_bytes(path.read_bytes()[:60])


def empty_mask_file(root: Path) -> None:
    (root / "masks/2.png").write_bytes(b"")


def missing_mask(root: Path) -> None:
    (root / "masks/2.png").unlink()


def missing_picture(root: Path) -> None:
    (root / "images/2.png").unlink()


def ids_out_of_range(root: Path) -> None:
    Image.fromarray(label_map(2) * 2).save(root / "masks/2.png")


def ids_in_red(root: Path) -> None:
    ids = label_map(2)
    Image.fromarray(np.stack((ids, 0 * ids, 0 * ids), -1)).save(root / "masks/2.png")


def photo_as_mask(root: Path) -> None:
    (root / "masks/2.png").write_bytes((root / "images/2.png").read_bytes())


def black_and_white_mask(root: Path) -> None:
    Image.fromarray(np.where(label_map(2) == 13, 255, 0).astype(np.uint8)).save(root / "masks/2.png")


def lossy_mask(root: Path) -> None:
    colours = np.array(PALETTE, dtype=np.uint8)[label_map(2)]
    (root / "masks/2.png").unlink()
    Image.fromarray(colours).resize((16, 16), Image.Resampling.BICUBIC).resize((64, 64), Image.Resampling.BICUBIC).save(
        root / "masks/2.jpg", quality=5
    )


def other_label_space(root: Path) -> dict[str, dict[str, object]]:
    return {"data": {"label_space": "lapa"}}


def another_cut(root: Path) -> None:
    Image.new("RGB", (64, 40), (1, 200, 3)).save(root / "images/2.png")


def two_of_a_name(root: Path) -> None:
    Image.new("RGB", (64, 64), (1, 200, 3)).save(root / "images/2.jpg")


def broken_captions(root: Path) -> None:
    (root / "captions.json").write_text('{"0.png": ["a",')


def captions_of_another_kind(root: Path) -> None:
    (root / "captions.json").write_text(json.dumps({"0.png": {"text": "a"}}))


def captions_of_others(root: Path) -> None:
    (root / "captions.json").write_text(json.dumps({"other.png": ["a"]}))


def no_masks(root: Path) -> None:
    (root / "masks").rename(root / "elsewhere")


def nothing_there(root: Path) -> dict[str, dict[str, object]]:
    return {"data": {"root": root / "nowhere"}}


def no_pairs(root: Path) -> None:
    for path in (*(root / "images").iterdir(), *(root / "masks").iterdir()):
        path.unlink()


def broken_manifest(root: Path) -> dict[str, dict[str, object]]:
    (root / "m.jsonl").write_text('{"picture": "images/0.png", "mask": "masks/0.png"}\n{"picture": \n')
    return {"data": {"root": root / "m.jsonl"}}


def manifest_without_mask(root: Path) -> dict[str, dict[str, object]]:
    (root / "m.jsonl").write_text('{"picture": "images/0.png"}\n')
    return {"data": {"root": root / "m.jsonl"}}


def manifest_of_missing_files(root: Path) -> dict[str, dict[str, object]]:
    (root / "m.jsonl").write_text('{"picture": "images/99.png", "mask": "masks/0.png"}\n')
    return {"data": {"root": root / "m.jsonl"}}


def manifest_with_unknown_key(root: Path) -> dict[str, dict[str, object]]:
    (root / "m.jsonl").write_text('{"image": "images/0.png", "picture": "images/0.png", "mask": "masks/0.png"}\n')
    return {"data": {"root": root / "m.jsonl"}}


def too_few_pairs(root: Path) -> dict[str, dict[str, object]]:
    return {"validation": {"every": 10, "pairs": 6}}


BROKEN: list[tuple[Break, str]] = [
    (truncated_picture, r"images/2\.png: the picture cannot be read"),
    (no_picture, r"images/2\.png: the picture cannot be read"),
    (truncated_mask, r"masks/2\.png: .*cannot be read"),
    (empty_mask_file, r"masks/2\.png: the mask cannot be read"),
    (missing_mask, r"images/2\.png: there is no mask named 2"),
    (missing_picture, r"masks/2\.png: there is no picture named 2"),
    (ids_out_of_range, r"masks/2\.png: The mask's values, up to 34, are all multiples of 2"),
    (ids_in_red, r"masks/2\.png: .*red channel"),
    (photo_as_mask, r"masks/2\.png: .*no colour of the CelebAMask-HQ palette"),
    (black_and_white_mask, r"masks/2\.png: A black-and-white mask"),
    (lossy_mask, r"masks/2\.jpg: .*no colour of the CelebAMask-HQ palette"),
    (other_label_space, r"masks/0\.png: .*label space lapa"),
    (another_cut, r"images/2\.png: the picture is 64 x 40, its mask 64 x 64"),
    (two_of_a_name, r"images/2\.png: 2\.jpg has the same name"),
    (broken_captions, r"captions\.json: this is not JSON"),
    (captions_of_another_kind, r"captions\.json: the captions of 0\.png are"),
    (captions_of_others, r"captions\.json: none of its captions belongs to a picture"),
    (no_masks, r"There is no folder .*masks.*set data\.masks"),
    (nothing_there, r"There is no data set at .*nowhere: set data\.root"),
    (no_pairs, r"holds no pairs"),
    (broken_manifest, r"m\.jsonl, line 2: this is not JSON"),
    (manifest_without_mask, r"m\.jsonl, line 1: mask is missing"),
    (manifest_of_missing_files, r"m\.jsonl, line 1: there is no file .*99\.png"),
    (manifest_with_unknown_key, r"m\.jsonl, line 1: image is unknown"),
    (too_few_pairs, r"validation\.pairs holds 6 of them out"),
]


@pytest.mark.parametrize(("break_it", "expected"), BROKEN, ids=[found[0].__name__ for found in BROKEN])
@pytest.mark.parametrize("where", ["disk", "memory", "none"])
def test_a_broken_set_is_reported_before_anything_is_encoded(
    break_it: Break, expected: str, where: str, tmp_path: Path
) -> None:
    root = write_set(tmp_path)
    changed = break_it(root) or {}
    settings = config(root, **{"loop": {"steps": 40}, "cache": {"where": where}, **changed})
    encoders = Encoders(PlainVAE(), PlainText())
    with pytest.raises(ValueError, match=expected):
        open_samples(settings, encoders)
    assert encoders.vae.encoded == 0
    assert encoders.text.encoded == []  # type: ignore[attr-defined]
    assert not [path for path in (root / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("break_it", "expected"), BROKEN[:9], ids=[found[0].__name__ for found in BROKEN[:9]])
def test_the_check_reports_the_same_of_a_set(
    break_it: Break, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_set(tmp_path)
    break_it(root)
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config(root)))
    assert main(["prepare", str(path), "--check"]) == 1
    told = capsys.readouterr()
    assert re.search(f"error: .*{expected}", told.out)
    assert "errors were found in" in told.err


CONFIGURATIONS: list[tuple[str, str]] = [
    ("model.vae=/nowhere/ae.safetensors", r"nothing for the VAE at /nowhere/ae\.safetensors"),
    ("model.t5xxl=/nowhere/t5.safetensors", r't5xxl is /nowhere/t5\.safetensors.*both to "toy"'),
    ("data.resolution=72", r"data\.resolution = 72: 72 is not a multiple of 16"),
    ("cache.wher=disk", r"cache\.wher is unknown; did you mean where\?"),
    ("data.layout=celeba", r"data\.layout = 'celeba'"),
    ("loop.batch=0", r"loop\.batch = 0"),
]


@pytest.mark.parametrize(("change", "expected"), CONFIGURATIONS)
def test_a_broken_configuration_is_reported_by_the_command(
    change: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_set(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config(root)))
    assert main(["prepare", str(path), "--set", change]) == 1
    assert re.search(expected, capsys.readouterr().err)
    assert not (root / "cache").exists()


def test_a_mask_of_one_class_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_set(tmp_path)
    write_png(index_image(np.zeros((64, 64), dtype=np.uint8)), root / "masks/2.png")
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config(root)))
    assert main(["prepare", str(path), "--check"]) == 1
    assert "masks/2.png: all of it is background" in capsys.readouterr().out
