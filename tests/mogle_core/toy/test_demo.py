"""`mogle demo` on a world without training: what it makes, from what, and that the result can be reproduced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.sketch_files import write_sketching

from mogle_core.cli import main
from mogle_core.masks.decouple import index_image
from mogle_core.masks.labels import CLASS_NAMES, IDS
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.toy.demo import Settings, as_in_mask, demo, gate_maps, other_colours, plan, read_mask
from mogle_core.toy.demo_sketch import read_sketch
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.drawer.faceset import HELD_OUT
from mogle_core.toy.drawer.sketching import draw_sketch
from mogle_core.toy.places import FILES
from mogle_core.toy.world import Moment, generate, load_world

SIZE, STEPS = 64, 3
NAMES = ("1_mask_and_prompt", "2_hair_repainted", "3_other_prompt", "4_no_mask")


@pytest.fixture(scope="module")
def made(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[str]]:
    settings = Settings(tmp_path_factory.mktemp("demo"), SIZE, seed=1, steps=STEPS)
    return settings, list(demo(settings, untrained))


def read(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path)))


def test_it_writes_every_picture_and_one_sheet(made: tuple[Settings, list[str]]) -> None:
    settings, lines = made
    masked = [f"{name}{part}.png" for name in NAMES[:3] for part in ("", "_mask", "_overlay")]
    assert {path.name for path in settings.out.iterdir()} == {*masked, f"{NAMES[3]}.png", "contact_sheet.png"}
    assert all(read(settings.out / f"{name}.png").shape == (SIZE, SIZE, 3) for name in NAMES)
    assert sum(line.strip()[:2] in ("0.", "1.") for line in lines) == len(NAMES)
    assert str(settings.out / "contact_sheet.png") in lines[-1]


def test_the_pictures_are_what_generate_makes(made: tuple[Settings, list[str]], untrained: Path) -> None:
    """From the mask, prompt and seed saved with each image, so all have the same noise."""
    settings, _ = made
    world = load_world(folder=untrained)
    for name in NAMES:
        saved = Image.open(settings.out / f"{name}.png")
        mask = settings.out / f"{name}_mask.png"
        ids = read_mask(mask, SIZE)[None] if mask.exists() else None
        assert saved.info["seed"] == "1"
        again = generate(world, ids, [saved.info["prompt"]], [1], SamplingOptions(STEPS), size=(SIZE, SIZE))[0]
        assert (again.int() - torch.from_numpy(np.array(saved)).int()).abs().max() <= 1


def test_a_stored_mask_takes_the_drawn_ones_place(made: tuple[Settings, list[str]], untrained: Path) -> None:
    settings, _ = made
    prompt = Image.open(settings.out / f"{NAMES[0]}.png").info["prompt"]
    other = Settings(settings.out / "again", SIZE, 1, prompt, settings.out / f"{NAMES[0]}_mask.png", STEPS)
    list(demo(other, untrained))
    assert torch.equal(read(other.out / f"{NAMES[0]}.png"), read(settings.out / f"{NAMES[0]}.png"))


@pytest.fixture(scope="module")
def sketching(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same world with a network for sketches."""
    folder = tmp_path_factory.mktemp("sketching")
    for path in untrained.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    write_sketching(folder, untrained / FILES["mogle"])
    return folder


def test_a_sketch_adds_two_rows_and_a_column(
    made: tuple[Settings, list[str]], sketching: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, _ = made
    common = ["--size", str(SIZE), "--steps", str(STEPS), "--seed", "1", "--weights", str(sketching)]
    assert main(["demo", "--sketch", *common, "--out", str(tmp_path)]) == 0
    assert "Sketch and prompt, no mask" in capsys.readouterr().out
    alone, both = "5_sketch_and_prompt", "6_sketch_mask_and_prompt"
    new = {
        f"{alone}.png",
        f"{alone}_sketch.png",
        *(f"{both}{part}.png" for part in ("", "_mask", "_overlay", "_sketch")),
    }
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in settings.out.glob("*.png")} | new
    assert torch.equal(read(tmp_path / f"{alone}_sketch.png"), torch.from_numpy(draw_sketch(HELD_OUT + 1, SIZE)))
    assert not torch.equal(read(tmp_path / f"{alone}.png"), read(tmp_path / f"{NAMES[3]}.png"))
    assert not torch.equal(read(tmp_path / f"{both}.png"), read(tmp_path / f"{NAMES[0]}.png"))
    sheets = [Image.open(folder / "contact_sheet.png") for folder in (tmp_path, settings.out)]
    assert sheets[0].width > sheets[1].width and sheets[0].height > sheets[1].height


def test_a_drawing_from_a_file_is_on_black_and_never_stretched(sketching: Path, tmp_path: Path) -> None:
    drawing = np.full((40, 80), 255, np.uint8)
    drawing[10:30, 39:41] = 0  # an upright line on white
    Image.fromarray(drawing).save(tmp_path / "drawing.png")
    shown = read_sketch(tmp_path / "drawing.png", 64, 64)
    assert shown[32, 31:33].min() > 100 and shown[:16].max() == 0 and shown[-16:].max() == 0
    settings = Settings(tmp_path / "out", SIZE, steps=1, sketch=tmp_path / "drawing.png")
    lines = list(demo(settings, sketching))
    assert "--mask FILE" in lines[0]
    assert any(line.strip() == "Sketch and prompt, no mask" for line in lines)  # without a score
    assert not list((tmp_path / "out").glob("*sketch_mask*"))
    mask = tmp_path / "out/1_mask_and_prompt_mask.png"
    both = Settings(tmp_path / "both", SIZE, steps=1, sketch=tmp_path / "drawing.png", mask=mask)
    assert [run.name for run in plan(both)][-2:] == ["sketch_and_prompt", "sketch_mask_and_prompt"]


def test_a_sketch_that_cannot_be_shown(
    untrained: Path, sketching: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path), "--size", str(SIZE)]
    assert main(["demo", "--sketch", "--weights", str(untrained), *out]) == 1
    assert f"{untrained} has no toy_mogle_sketch.safetensors" in capsys.readouterr().err
    assert main(["demo", "--sketch", "--mask", str(tmp_path / "x.png"), "--weights", str(sketching), *out]) == 1
    assert main(["demo", "--sketch", str(tmp_path / "gone.png"), "--weights", str(sketching), *out]) == 1
    assert "gone.png: the picture cannot be read" in capsys.readouterr().err


def test_plan_varies_one_thing_at_a_time() -> None:
    first, repainted, recoloured, free = plan(Settings(Path("."), SIZE, seed=5))
    assert first.prompt == repainted.prompt == free.prompt != recoloured.prompt
    assert torch.equal(first.ids, recoloured.ids)
    assert not torch.equal(first.ids, repainted.ids)
    assert free.ids is None
    assert first.prompt == draw_face(HELD_OUT + 5, SIZE).caption


def test_a_mask_without_hair_is_not_repainted(tmp_path: Path) -> None:
    ids = torch.full((32, 32), IDS["skin"], dtype=torch.uint8)
    index_image(ids).save(tmp_path / "bald.png")
    runs = plan(Settings(tmp_path, SIZE, mask=tmp_path / "bald.png"))
    assert [run.name for run in runs] == ["mask_and_prompt", "other_prompt", "no_mask"]


def test_another_prompt_changes_colours_only() -> None:
    face = draw_face(3, SIZE).attributes
    other = other_colours(face)
    changed = {name for name, value in vars(face).items() if getattr(other, name) != value}
    assert changed == {"hair_colour", "clothing_colour", "background"}


@pytest.mark.parametrize("seed", range(12))
def test_attributes_are_read_off_a_mask_as_they_were_drawn(seed: int) -> None:
    """The mask overrides every attribute of another face that it shows. Hair length may be one word off."""
    face, other = draw_face(seed), draw_face(seed + 100)
    fitted = as_in_mask(other.attributes, torch.from_numpy(face.ids))
    assert bool(fitted.glasses) == bool(face.attributes.glasses)
    assert bool(fitted.hat) == bool(fitted.hat_colour) == bool(face.attributes.hat)
    assert (fitted.necklace, fitted.mouth_open) == (face.attributes.necklace, face.attributes.mouth_open)
    words = ("short", "medium", "long")
    assert abs(words.index(fitted.hair_length) - words.index(face.attributes.hair_length)) <= 1


@pytest.mark.parametrize(("stored", "expected"), [((48, 96), (32, 64)), ((100, 100), (64, 64)), ((900, 10), (64, 16))])
def test_a_mask_keeps_its_shape_in_multiples_of_16(
    tmp_path: Path, stored: tuple[int, int], expected: tuple[int, int]
) -> None:
    index_image(torch.ones(stored, dtype=torch.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", 64).shape == expected


def test_gate_maps_show_the_experts_that_they_name() -> None:
    """Expert e has weight e everywhere, so each map must show its number, one more than the class id."""
    ids = torch.tensor([[IDS["skin"], IDS["hair"]], [IDS["nose"], 0]], dtype=torch.uint8)
    ids = ids.repeat_interleave(16, 0).repeat_interleave(16, 1)
    gates = torch.arange(20.0).expand(1, 4, 20)
    maps = gate_maps(ids, [Moment(step, 1.0, torch.zeros(0), gates) for step in (0, 1)])
    found = {each.title: each.weights for each in maps}
    assert list(found) == ["full mask", "skin", "hair", "nose", "background"]
    for title, weights in found.items():
        expert = 0 if title == "full mask" else CLASS_NAMES.index(title) + 1
        assert torch.equal(weights, torch.full((2, 2, 2), float(expert)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--size", "100"], "--size is 100: choose a multiple of 16"),
        (["--steps", "0"], "--steps: 0 is not a whole number from 1"),
        (["--seed", "-1"], "--seed: -1 is not a whole number from 0"),
    ],
)
def test_impossible_options_are_refused(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["demo", "--weights", str(tmp_path), "--out", str(tmp_path / "out"), *arguments]))
    assert ended.value.code in (1, 2)  # 2 for what the command line alone shows
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_words_that_the_toy_does_not_know_are_named(untrained: Path, tmp_path: Path) -> None:
    lines = list(demo(Settings(tmp_path, SIZE, prompt="A woman with fuchsia hair", steps=1), untrained))
    assert lines[0].endswith("lacks these words of the prompt: fuchsia.")


@pytest.mark.slow
def test_without_opencv_it_says_what_to_install() -> None:
    call = "sys.exit(main(['demo', '--weights', '.']))"
    without = f"import sys; sys.modules['cv2'] = None; from mogle_core.cli import main; {call}"
    ended = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "needs the package cv2" in ended.stderr
    assert 'pip install -e ".[headless]"' in ended.stderr
