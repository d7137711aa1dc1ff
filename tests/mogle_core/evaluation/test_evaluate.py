"""A whole evaluation on the toy world: every column is filled, batch and order do not matter, a mask helps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mogle_core.cli import main
from mogle_core.evaluation.features import features
from mogle_core.evaluation.material import Settings, gather
from mogle_core.evaluation.measure import measure
from mogle_core.evaluation.networks.extractors import load_extractor
from mogle_core.evaluation.paper import COLUMNS, FURTHER
from mogle_core.evaluation.pictures import list_pictures
from mogle_core.evaluation.result import Result, markdown, read_json
from mogle_core.evaluation.run import evaluate
from mogle_core.masks.decouple import index_image
from mogle_core.support.cluster import Cluster
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.drawer.faceset import HELD_OUT
from mogle_core.toy.drawer.sketching import draw_sketch

pytestmark = pytest.mark.slow

FACES = 5
TOY = dict.fromkeys(("inception", "clip", "clip_large", "dino", "parser", "lpips", "image_reward"), "toy")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in MM-CelebA-HQ's layout."""
    root = tmp_path_factory.mktemp("faces")
    captions = {}
    for folder in ("face", "mask", "sketch"):
        (root / folder).mkdir()
    for number in range(FACES):
        face = draw_face(HELD_OUT + number)
        Image.fromarray(face.picture).save(root / f"face/{number}.png")
        index_image(torch.from_numpy(face.ids)).save(root / f"mask/{number}.png")
        Image.fromarray(draw_sketch(HELD_OUT + number)).save(root / f"sketch/{number}.png")
        captions[f"{number}.png"] = [face.caption]
    (root / "text.json").write_text(json.dumps(captions))
    return root


@pytest.fixture(scope="module")
def generated(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images from masks, two of each, and images from text alone."""
    root = tmp_path_factory.mktemp("generated")
    common = ["generate", str(faces), "--toy", "--steps", "6"]
    assert main([*common, "--copies", "2", "--out", str(root / "masked")]) == 0
    assert main([*common, "--mode", "text", "--out", str(root / "base")]) == 0
    return root


def settings_of(faces: Path, pictures: Path, out: Path) -> Settings:
    return Settings(pictures, out, faces / "face", faces / "mask", faces / "text.json", TOY, sketches=faces / "sketch")


@pytest.fixture(scope="module")
def masked(faces: Path, generated: Path) -> Result:
    settings = settings_of(faces, generated / "masked", generated)
    networks = {kind: load_extractor(kind, "toy") for kind in TOY}
    return measure(settings, gather(settings), networks)


def test_every_column_is_filled(masked: Result) -> None:
    measured = {column.name for column in (*COLUMNS, *FURTHER)} - {"auc", "eer", "ap"}
    assert measured <= set(masked.figures)
    assert all(np.isfinite(value) for value in masked.figures.values())
    assert set(masked.per_picture) == {"structure", "clip", "image_reward", "mean_iou", "line_distance"}
    assert all(len(values) == 2 * FACES for values in masked.per_picture.values())
    assert masked.figures["diversity"] > 0


def test_the_trained_checkpoint_beats_the_base_on_every_mask_metric(
    faces: Path, generated: Path, masked: Result
) -> None:
    settings = settings_of(faces, generated / "base", generated)
    base = measure(settings, gather(settings), {kind: load_extractor(kind, "toy") for kind in ("parser", "dino")})
    for name in ("accuracy", "mean_iou", "merged_iou", "boundary_f1"):
        assert masked.figures[name] > base.figures[name] + 0.05, name
    assert masked.figures["structure"] < base.figures["structure"]


def test_batch_and_order_do_not_matter(faces: Path, generated: Path, masked: Result) -> None:
    settings = replace(settings_of(faces, generated / "masked", generated), batch=1)
    material = gather(settings)
    turned = replace(
        material,
        pictures=dict(reversed(material.pictures.items())),
        real=dict(reversed(material.real.items())),
        masks=dict(reversed(material.masks.items())),
        captions=dict(reversed(material.captions.items())),
        reference=material.reference[::-1],
    )
    found = measure(settings, turned, {kind: load_extractor(kind, "toy") for kind in TOY})
    assert found.figures == pytest.approx(masked.figures, abs=1e-6)


def test_photos_against_themselves_are_perfect(faces: Path, tmp_path: Path) -> None:
    settings = settings_of(faces, faces / "face", tmp_path)
    networks = {kind: load_extractor(kind, "toy") for kind in ("inception", "clip_large", "dino")}
    found = measure(settings, gather(settings), networks)
    assert found.figures["fid"] == pytest.approx(0, abs=1e-6)
    assert found.figures["cmmd"] == pytest.approx(0, abs=1e-6)
    assert found.figures["structure"] == found.figures["structure_official"] == 0


def mean_colour(pictures: Tensor) -> Tensor:
    """A feature extractor as a user may write it."""
    return pictures.float().mean(dim=(2, 3))


def test_a_users_extractor(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def mean_colour(pictures):\n    return pictures.float().mean(dim=(2, 3))\n"
    (tmp_path / "my_metrics.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = load_extractor("inception", "my_metrics:mean_colour")
    assert own.source == "my_metrics:mean_colour"
    assert own.sha256 is None
    paths = list(list_pictures(faces / "face").values())
    assert torch.equal(features(own.network, paths, batch=4), features(mean_colour, paths, batch=1))
    with pytest.raises(ValueError, match=r"no.module:name cannot be imported"):
        load_extractor("inception", "no.module:name")
    with pytest.raises(ValueError, match="expected a row of features for each"):
        features(lambda pictures: pictures.float(), paths)


def test_the_command_writes_the_report(
    faces: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores.csv").write_text("name,label,score\na,1,0.9\nb,0,0.1\n")
    out = tmp_path / "report"
    common = ["evaluate", str(generated / "masked"), "--real", str(faces / "face"), "--masks", str(faces / "mask")]
    assert main([*common, "--toy", "--out", str(out), "--detection", str(tmp_path / "scores.csv")]) == 0
    said = capsys.readouterr().out
    assert "paper" not in said, "toy figures are not the paper's"
    assert "FID ↓ (toy)" in said
    assert "inception toy" in said
    assert "| **masked** |" in said
    assert "–" not in said.split("**masked**")[1].split("\n")[0]
    result = read_json(out / "result.json")
    assert result.figures["auc"] == 1
    assert result.setup["pictures"] == 2 * FACES
    assert result.setup["sizes"] == ["128x128"]
    assert len(result.setup["extractors"]["inception"]["sha256"]) == 64
    assert {"torch", "numpy"} <= set(result.setup["versions"])
    assert (out / "table.md").read_text() == markdown({"masked": result})
    for name in ("class_iou", "distributions", "best_and_worst_mean_iou"):
        assert Image.open(out / f"{name}.png").width > 100


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "No network is named"),
        (["--inception", "gone.pt"], "There is no gone.pt: FID and KID need"),
        (["--clip", "gone"], "is not a folder of a CLIP"),
        (["--dino", "gone"], "is not a folder of DINO's ViT"),
        (["--lpips", "gone.pth"], "LPIPS needs torchvision's alexnet"),
        (["--image-reward", "gone.pt"], "download ImageReward.pt"),
        (["--parser", "gone.safetensors"], "There is no face parser"),
        (["--toy", "--masks", "gone"], "There is no folder gone"),
    ],
)
def test_what_is_missing_is_an_error_message(
    more: list[str], sentence: str, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(generated / "base"), "--out", str(tmp_path / "out"), *more]) == 1
    assert sentence in capsys.readouterr().err


def test_image_reward_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ImageReward.pt", "med_config.json"):
        (tmp_path / name).write_bytes(b"{}")
    monkeypatch.setitem(__import__("sys").modules, "ImageReward", None)
    with pytest.raises(ValueError, match="needs transformers 4.*--image-reward-scores"):
        load_extractor("image_reward", str(tmp_path / "ImageReward.pt"))


@pytest.mark.xdist_group("ray")  # one Ray at a time
def test_a_cluster_gives_the_same_figures(faces: Path, generated: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        settings = replace(settings_of(faces, generated / "masked", tmp_path / "alone"), batch=3)
        alone = evaluate(settings)
        spread = evaluate(replace(settings, out=tmp_path / "spread"), Cluster(workers=2, threads=1))
    finally:
        torch.set_num_threads(before)
    assert spread == alone


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--image-reward-scores", "name;value\n0;1\n"], "no column score"),
        (["--image-reward-scores", "name;score\n0@0;nan\n"], "expected a picture's name and a number"),
        (["--image-reward-scores", "name,score\nnobody,1\n"], "has no score of any picture"),
        (["--image-reward-scores", "name,score\n"], "holds no scores"),
        (["--detection", "name,label,score\n"], "holds no scores"),
        (["--detection", "name,label,score\n0@0,1,0.5\n"], "scores of both kinds are needed"),
    ],
)
def test_a_bad_score_file_ends_without_a_table(
    more: list[str], sentence: str, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores.csv").write_text(more[1])
    common = ["evaluate", str(generated / "base"), "--out", str(tmp_path / "out")]
    assert main([*common, more[0], str(tmp_path / "scores.csv")]) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert "|" not in said.out
    assert not (tmp_path / "out/table.md").exists()
    assert not (tmp_path / "out/result.json").exists()


def test_the_report_on_disk_says_how_kid_was_taken(faces: Path, generated: Path, tmp_path: Path) -> None:
    common = ["evaluate", str(generated / "base"), "--real", str(faces / "face"), "--inception", "toy"]
    assert main([*common, "--out", str(tmp_path), "--kid-subsets", "7", "--fid-resamples", "0"]) == 0
    kid = read_json(tmp_path / "result.json").setup["kid"]
    assert kid == {"subsets": 7, "subset_size": FACES, "subset_size_asked": 1000, "seed": 0}


@pytest.mark.parametrize("more", [("--kid-subsets", "0"), ("--kid-subsets", "-1"), ("--kid-subset-size", "1")])
def test_no_subset_of_kid_ends_without_a_table(
    more: tuple[str, str], faces: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["evaluate", str(generated / "base"), "--real", str(faces / "face"), "--inception", "toy"]
    with pytest.raises(SystemExit) as ended:
        main([*common, "--out", str(tmp_path / "out"), *more])
    assert ended.value.code not in (0, None)
    assert f"argument {more[0]}: {more[1]} is not a whole number of at least" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
