"""Sketches and landmarks in jobs: where they come from, what they change, and what is said when they cannot be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.fake_comfy import FakeComfy
from support.sketch_files import write_sketching

from mogle_core.cli import main
from mogle_core.dataset.errors import DatasetError
from mogle_core.generation.backend import BackendError
from mogle_core.generation.comfy import TOY_FILES, comfy_prompt
from mogle_core.generation.jobs import Job, read_jobs, seed_of
from mogle_core.generation.local import LocalBackend
from mogle_core.generation.manifest import outcomes
from mogle_core.generation.models import Sources, toy_sources
from mogle_core.generation.portraits import Portraits
from mogle_core.generation.run import Output, generate
from mogle_core.generation.server import ServerBackend
from mogle_core.generation.settings import Settings
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.toy import world as toy

SMALL = Settings(width=32, height=32, steps=1, guidance=1.0, label_space="celebamask")


def drawing(number: int, size: int = 32) -> np.ndarray:
    levels = np.zeros((size, size), np.uint8)
    levels[4 + number, 2:-2] = 255
    return levels


@pytest.fixture
def sketches(tmp_path: Path) -> Path:
    """Ten drawings of 32 x 32, 0.png to 9.png."""
    folder = tmp_path / "sketches"
    folder.mkdir()
    for number in range(10):
        Image.fromarray(drawing(number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's network with an untrained expert for sketches."""
    return write_sketching(tmp_path_factory.mktemp("network"))


def test_each_job_gets_the_sketch_of_its_name(masks: Path, sketches: Path) -> None:
    jobs = read_jobs(masks, "A woman.", conditions={"sketch": sketches}, copies=2)
    assert len(jobs) == 20
    assert jobs[7] == Job("3@1", "A woman.", seed_of(0, "3@1"), masks / "3.png", (("sketch", sketches / "3.png"),))
    text = read_jobs(masks, "A woman.", mode="text", conditions={"sketch": sketches})
    assert {job.mask for job in text} == {None} and all(job.conditions for job in text)


def test_sketches_alone_are_jobs(sketches: Path) -> None:
    (sketches / "9.png").rename(sketches / "10.png")
    jobs = read_jobs(None, "A man.", conditions={"sketch": sketches})
    assert [job.name for job in jobs] == [*map(str, range(9)), "10"]
    assert {(job.prompt, job.mask) for job in jobs} == {("A man.", None)}
    assert read_jobs(None, conditions={"sketch": sketches})[0].prompt == ""


def test_a_table_names_sketches(masks: Path, sketches: Path, tmp_path: Path) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text("name,mask,sketch,landmarks\na,drawn/1.png,sketches/2.png,\n,,sketches/4.png,drawn/3.png\nc,,,\n")
    one, two, three = read_jobs(table)
    assert one.conditions == (("sketch", tmp_path / "sketches/2.png"),)
    assert two.name == "4" and dict(two.conditions)["landmarks"] == tmp_path / "drawn/3.png"
    assert three.conditions == () and not three.steered and two.steered


def test_a_table_and_a_folder(sketches: Path, tmp_path: Path) -> None:
    given = read_jobs(table_of(tmp_path, "4", "7"), conditions={"sketch": sketches})
    assert [dict(job.conditions)["sketch"].name for job in given] == ["4.png", "7.png"]
    with pytest.raises(DatasetError, match=r"has no sketch for 2 of 3 jobs \(first: a\)"):
        read_jobs(table_of(tmp_path, "a", "b", "4"), conditions={"sketch": sketches})


def table_of(folder: Path, *names: str) -> Path:
    path = folder / "names.csv"
    path.write_text("\n".join(("name", *names)))
    return path


def test_a_rows_sketch_comes_before_the_folders(sketches: Path, tmp_path: Path) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text("name,sketch\n1,sketches/5.png\n2,\n")
    jobs = read_jobs(table, conditions={"sketch": sketches})
    assert [dict(job.conditions)["sketch"].name for job in jobs] == ["5.png", "2.png"]


def test_folders_that_cannot_be_used(masks: Path, sketches: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="gone is not a folder, or it contains no sketch pictures"):
        read_jobs(masks, conditions={"sketch": tmp_path / "gone"})
    Image.fromarray(drawing(0)).save(sketches / "3.bmp")
    with pytest.raises(DatasetError, match="keep one sketch of a name"):
        read_jobs(masks, conditions={"sketch": sketches})


def made(jobs: list[Job], backend: LocalBackend, out: Path) -> Mapping[str, np.ndarray]:
    found = list(generate(jobs, SMALL, backend, Output(out)))
    assert {outcome.status for outcome in found} == {"made"}, found
    return {job.name: np.array(Image.open(out / f"{job.name}.png")) for job in jobs}


def test_pictures_are_the_toy_worlds(masks: Path, sketches: Path, network: Path, tmp_path: Path) -> None:
    """With mask and sketch, with the sketch alone, with the mask alone and with neither, in one batch."""
    both = (("sketch", sketches / "1.png"),)
    jobs = [
        Job("both", "A woman.", 1, masks / "1.png", both),
        Job("sketch", "A woman.", 1, None, both),
        Job("mask", "A woman.", 1, masks / "1.png"),
        Job("text", "A woman.", 1),
    ]
    pictures = made(jobs, LocalBackend(toy_sources(network), batch=4), tmp_path / "out")
    world = toy.load_world(mogle=network)
    ids, sketch = (torch.from_numpy(np.array(Image.open(folder / "1.png")))[None] for folder in (masks, sketches))
    ways: dict[str, dict[str, Any]] = {
        "both": {"ids": ids, "sketches": sketch},
        "sketch": {"ids": None, "sketches": sketch},
        "mask": {"ids": ids},
        "text": {"ids": None, "size": (32, 32)},
    }
    for name, given in ways.items():
        (expected,) = toy.generate(world, prompts=["A woman."], seeds=[1], options=SamplingOptions(1), **given)
        assert np.abs(pictures[name].astype(int) - expected.numpy().astype(int)).max() <= 1, name
    assert len({picture.tobytes() for picture in pictures.values()}) == 4
    together = LocalBackend(toy_sources(network), batch=2, one_pass=True)
    for name, picture in made(jobs, together, tmp_path / "one_pass").items():
        assert np.abs(picture.astype(int) - pictures[name].astype(int)).max() <= 1


def test_a_picture_knows_its_sketch(sketches: Path, network: Path, tmp_path: Path) -> None:
    """In the manifest and in the file; and another drawing under the same name is another picture."""
    (job,) = read_jobs(table_of(tmp_path, "1"), conditions={"sketch": sketches})
    output = Output(tmp_path / "out")
    assert [o.status for o in generate([job], SMALL, LocalBackend(toy_sources(network)), output)] == ["made"]
    (row,) = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert row["conditions"] == {"sketch": str(sketches / "1.png")}
    with Image.open(tmp_path / "out/1.png") as image:
        assert json.loads(image.info["mogle"])["job"]["conditions"] == row["conditions"]
        assert "Sketch: 1.png" in image.info["parameters"]
        prompt = json.loads(image.info["prompt"])
    assert prompt["mogle"]["inputs"]["mogle_name"] == network.name
    assert prompt["sketch"]["class_type"] == "MoGLEAddCondition"
    again = LocalBackend(toy_sources(network))
    assert [o.status for o in generate([job], SMALL, again, output)] == ["kept"]
    Image.fromarray(255 - drawing(1)).save(sketches / "1.png")  # the same lines, on white
    assert [o.status for o in generate([job], SMALL, again, output)] == ["kept"]
    Image.fromarray(drawing(2)).save(sketches / "1.png")
    with pytest.raises(ValueError, match="has 1 picture of these names with other settings"):
        list(generate([job], SMALL, LocalBackend(toy_sources(network)), output))


def test_a_run_without_sketches_is_recorded_as_before(masks: Path, tmp_path: Path) -> None:
    list(generate(read_jobs(masks)[:1], SMALL, LocalBackend(toy_sources()), Output(tmp_path / "out")))
    (row,) = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert "conditions" not in row
    with Image.open(tmp_path / "out/0.png") as image:
        assert "conditions" not in image.info["mogle"] and "Sketch" not in image.info["parameters"]


def test_a_network_without_that_expert_says_what_it_has(sketches: Path, network: Path, tmp_path: Path) -> None:
    jobs = read_jobs(None, conditions={"sketch": sketches})
    with pytest.raises(BackendError, match=r"toy_mogle.safetensors has no expert for sketch; it has .* masks alone"):
        list(generate(jobs, SMALL, LocalBackend(toy_sources()), Output(tmp_path / "out")))
    marks = [Job("a", "", 1, None, (("landmarks", sketches / "1.png"),))]
    with pytest.raises(BackendError, match="no expert for landmarks; it has experts for sketch"):
        list(generate(marks, SMALL, LocalBackend(toy_sources(network)), Output(tmp_path / "marks")))
    assert {outcome.status for outcome in outcomes(tmp_path / "out/manifest.jsonl")} == {"failed"}
    bare = Sources("toy", "toy", "toy", "toy", base_dtype="float32")
    with pytest.raises(BackendError, match="no network to follow it: give --mogle"):
        list(generate(jobs, SMALL, LocalBackend(bare), Output(tmp_path / "bare")))


def test_a_damaged_sketch_fails_its_job_alone(sketches: Path, network: Path, tmp_path: Path) -> None:
    (sketches / "1.png").write_bytes(b"no picture")
    jobs = read_jobs(None, conditions={"sketch": sketches})[:2]
    found = list(generate(jobs, SMALL, LocalBackend(toy_sources(network)), Output(tmp_path / "out")))
    assert sorted(outcome.status for outcome in found) == ["failed", "made"]
    assert "1.png" in str(found[0].error)


def test_a_portrait_from_a_sketch(sketches: Path, network: Path) -> None:
    with Portraits(toy_sources(network), SMALL, "cpu") as portraits:
        one, other, none = (portraits.make("A man.", sketch=file) for file in (sketches / "1.png", None, None))
    assert one.tobytes() != other.tobytes() == none.tobytes()


def test_the_nodes_of_a_prompt() -> None:
    job = Job("a", "A face.", 3)
    both = comfy_prompt(job, SMALL, TOY_FILES, "m.png", {"sketch": "s.png", "landmarks": "l.png"})
    assert both["sketch"]["inputs"]["mask_latents"] == ["latents", 0]
    assert both["landmarks"]["inputs"]["mask_latents"] == ["sketch", 0]
    assert both["gated"]["inputs"]["mask_latents"] == ["landmarks", 0]
    alone = comfy_prompt(job, SMALL, TOY_FILES, None, {"sketch": "s.png"})
    assert "mask_latents" not in alone["sketch"]["inputs"] and "image" not in alone
    assert alone["sampler"]["inputs"]["positive"] == ["gated", 1]
    for prompt in (both, alone):
        links = [value for node in prompt.values() for value in node["inputs"].values() if isinstance(value, list)]
        assert all(source in prompt for source, _ in links)


def test_a_server_gets_mask_and_sketch(masks: Path, sketches: Path, tmp_path: Path) -> None:
    jobs = read_jobs(masks, conditions={"sketch": sketches})[:2]

    def noise(prompt: dict[str, Any]) -> np.ndarray:
        return np.random.default_rng(prompt["sampler"]["inputs"]["seed"]).integers(0, 255, (32, 32, 3), dtype=np.uint8)

    with FakeComfy(noise) as server:
        backend = ServerBackend([server.url], TOY_FILES, patience=5.0, grace=0.3)
        assert [o.status for o in generate(jobs, SMALL, backend, Output(tmp_path / "out"))] == ["made"] * 2
        assert len(server.uploads) == 4
        names = {prompt["sketch_image"]["inputs"]["image"] for prompt in server.prompts}
    assert len(names) == 2 and all(name.startswith("mogle/") for name in names)


def test_from_the_command_line(
    masks: Path, sketches: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--toy", "--size", "32", "--steps", "1", "--label-space", "celebamask", "--sketches", str(sketches)]
    named = ["--mogle", str(network), "--shard", "0/5"]
    assert main(["generate", *common, *named, "--prompts", "A man.", "--out", str(tmp_path / "a")]) == 0
    assert "2 made" in capsys.readouterr().out
    assert main(["generate", str(masks), *common, *named, "--out", str(tmp_path / "b")]) == 0
    assert main(["generate", str(masks), *common, "--official-compat", "--out", str(tmp_path / "c")]) == 1
    assert "--official-compat makes what the official script makes, which takes no sketch" in capsys.readouterr().err
    (sketches / "7.png").unlink()
    assert main(["generate", str(masks), *common, *named, "--out", str(tmp_path / "d")]) == 1
    assert "has no sketch for 1 of 10 jobs (first: 7)" in capsys.readouterr().err
