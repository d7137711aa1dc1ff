"""`mogle generate` with local models and with a real ComfyUI server: the same jobs give the same images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import hosts
from support.comfy_server import Server
from support.sketch_files import write_sketching
from support.workflows import as_prompt, read

from mogle_core.annotation.annotate import annotate
from mogle_core.cli import main
from mogle_core.generation.manifest import outcomes
from mogle_core.parse.files import read_parser
from mogle_core.toy.drawer.faceset import HELD_OUT
from mogle_core.toy.drawer.sketching import draw_sketch
from mogle_core.toy.install import EXAMPLE_MASK, install
from mogle_core.toy.places import FILES, WEIGHTS

pytestmark = pytest.mark.server

JOBS = 20


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 20 jobs. Every fourth has only a text."""
    folder = tmp_path_factory.mktemp("jobs")
    masks = sorted((hosts.REPOSITORY / "tests/data/masks").glob("*.png"))
    rows = ["name,prompt,mask"]
    for number in range(JOBS):
        mask = masks[number % len(masks)]
        shutil.copy(mask, folder)
        colour = ("red", "brown", "black", "blond")[number % 4]
        rows.append(f"face{number},A woman with long {colour} hair.,{'' if number % 4 == 3 else mask.name}")
    (folder / "jobs.csv").write_text("\n".join(rows))
    return folder / "jobs.csv"


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path)).astype(int)


def test_the_same_jobs_with_both_backends(server: Server, jobs: Path, tmp_path: Path) -> None:
    install(server.base, force=True)
    arguments = ["generate", str(jobs), "--toy", "--size", "64", "--steps", "4"]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert main([*arguments, "--out", str(ours)]) == 0
    assert main([*arguments, "--out", str(theirs), "--server", server.url]) == 0
    names = [f"face{number}" for number in range(JOBS)]
    assert {o.name for o in outcomes(theirs / "manifest.jsonl") if o.status == "made"} == set(names)
    apart = [np.abs(pixels(ours / f"{n}.png") - pixels(theirs / f"{n}.png")).mean() for n in names]
    assert max(apart) <= 2, f"of 255, worst of {JOBS}"
    other = [np.abs(pixels(ours / f"{n}.png") - pixels(ours / "face0.png")).mean() for n in names[1:]]
    assert min(other) > 10, "pictures of other jobs are far apart"


def test_the_same_sketches_with_both_backends(server: Server, tmp_path: Path) -> None:
    """With a mask and without one, by a network with an expert for sketches; without it, the node's sentence."""
    install(server.base, force=True)
    network = write_sketching(tmp_path)
    for place in ("mogle", "loras"):
        shutil.copy(network, server.base / "models" / place)
    shutil.copy(next((hosts.REPOSITORY / "tests/data/masks").glob("*.png")), tmp_path / "mask.png")
    Image.fromarray(draw_sketch(HELD_OUT)).save(tmp_path / "sketch.png")
    (tmp_path / "jobs.csv").write_text("name,prompt,mask,sketch\na,A man.,mask.png,sketch.png\nb,A man.,,sketch.png\n")
    arguments = ["generate", str(tmp_path / "jobs.csv"), "--toy", "--size", "64", "--steps", "2"]
    there = ["--server", server.url, "--lora", network.name]
    assert main([*arguments, "--out", str(tmp_path / "ours"), "--mogle", str(network)]) == 0
    assert main([*arguments, "--out", str(tmp_path / "theirs"), *there, "--mogle", network.name]) == 0
    apart = [np.abs(pixels(tmp_path / f"ours/{n}.png") - pixels(tmp_path / f"theirs/{n}.png")).mean() for n in "ab"]
    assert max(apart) <= 2
    assert np.abs(pixels(tmp_path / "ours/a.png") - pixels(tmp_path / "ours/b.png")).mean() > 2
    assert main([*arguments, "--out", str(tmp_path / "no"), *there, "--mogle", FILES["mogle"]]) == 1
    assert {"no expert for a sketch" in str(o.error) for o in outcomes(tmp_path / "no/manifest.jsonl")} == {True}


def test_a_picture_of_the_command_opens_in_comfyui(server: Server, jobs: Path, tmp_path: Path) -> None:
    """The API form stored in the file, queued unchanged, generates the image again."""
    install(server.base, force=True)
    assert main(["generate", str(jobs), "--toy", "--size", "64", "--steps", "2", "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "face0.png") as image:
        image.load()
        prompt, expected = json.loads(image.info["prompt"]), np.array(image).astype(int)
    server.upload(jobs.parent / prompt["image"]["inputs"]["image"])
    (saved,) = server.run(prompt)["picture"]["images"]
    (tmp_path / "again.png").write_bytes(server.picture(saved))
    assert np.abs(pixels(tmp_path / "again.png") - expected).mean() <= 2


def test_a_repair_runs_and_returns_its_mask(server: Server, tmp_path: Path) -> None:
    """The workflow of `mogle annotate` for a photo on which two parsers disagree."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(EXAMPLE_MASK, photos / "face.png")  # any picture will do in which the judge sees something
    judge = read_parser(WEIGHTS / FILES["judge"])

    class Blind:
        module = judge.module

        def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
            return torch.zeros(pictures.shape[:3], dtype=torch.uint8)

    annotate(photos, tmp_path / "out", [judge, Blind()], comfyui=server.base)
    nodes, links = read(tmp_path / "out/repair/face.json")
    outputs = server.run(as_prompt(nodes, links, server.get("/object_info")))
    (saved,) = [output["images"][0] for number, output in outputs.items() if nodes[int(number)]["type"] == "SaveImage"]
    (tmp_path / "saved.png").write_bytes(server.picture(saved))
    expected = np.array(Image.open(tmp_path / "out/mask/face.png").convert("RGB")).astype(int)
    assert np.array_equal(pixels(tmp_path / "saved.png"), expected)
