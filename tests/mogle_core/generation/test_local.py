"""`mogle generate` with the toy's models: bit-equal however the work is divided, killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mogle_core.cli import main
from mogle_core.generation.backend import BackendError, Order
from mogle_core.generation.jobs import Job
from mogle_core.generation.local import LocalBackend
from mogle_core.generation.models import Sources, toy_sources
from mogle_core.generation.official import as_official, noises
from mogle_core.generation.settings import Settings
from mogle_core.masks.decouple import index_image
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.toy.drawer.faces import draw_face
from mogle_core.toy.drawer.faceset import HELD_OUT
from mogle_core.toy.world import generate, load_world

pytestmark = pytest.mark.slow

SMALL = Settings(width=64, height=64, steps=2, guidance=1.0)


def order(number: int, masked: bool = True) -> Order:
    face = draw_face(HELD_OUT + number, 64)
    return Order(Job(str(number), face.caption, 100 + number), torch.from_numpy(face.ids) if masked else None)


@pytest.fixture(scope="module")
def orders() -> list[Order]:
    return [order(number, masked=number != 2) for number in range(4)]


def first(backend: LocalBackend, order: Order, settings: Settings = SMALL) -> Tensor:
    ((_, picture),) = backend.make([order], settings)
    assert isinstance(picture, Tensor)
    return picture


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    return LocalBackend(toy_sources())


@pytest.fixture(scope="module")
def alone(backend: LocalBackend, orders: list[Order]) -> list[Tensor]:
    return [first(backend, each) for each in orders]


def test_the_demos_own_pictures(alone: list[Tensor], orders: list[Order]) -> None:
    world = load_world()
    for picture, each in zip(alone, orders, strict=True):
        ids = None if each.ids is None else each.ids[None]
        expected = generate(world, ids, [each.job.prompt], [each.job.seed], SamplingOptions(2), size=(64, 64))[0]
        assert (picture.int() - expected.int()).abs().max() <= 1


def test_a_batch_is_its_pictures_to_the_bit(backend: LocalBackend, alone: list[Tensor], orders: list[Order]) -> None:
    for some in (orders, orders[::-1]):
        made = {each.job.name: picture for each, picture in backend.make(some, SMALL)}
        assert all(torch.equal(made[str(number)], picture) for number, picture in enumerate(alone))


def test_one_pass_agrees_to_rounding(alone: list[Tensor], orders: list[Order]) -> None:
    backend = LocalBackend(toy_sources(), batch=3, one_pass=True)
    assert backend.facts["one_pass"] == 3
    for (_, picture), expected in zip(backend.make(orders, SMALL), alone, strict=True):
        assert (picture.int() - expected.int()).abs().max() <= 1
    backend.close()


def test_strength_0_is_the_base_model(backend: LocalBackend, orders: list[Order]) -> None:
    off = Settings(width=64, height=64, steps=2, guidance=1.0, strength=0)
    plain = Order(orders[0].job, None)
    assert torch.equal(first(backend, orders[0], off), first(backend, plain))
    assert not torch.equal(first(backend, plain), first(backend, orders[0]))


@pytest.mark.parametrize("one_pass", [False, True])
def test_merged_mask_tokens_are_the_toys(one_pass: bool) -> None:
    """Also in a batch, and beside a picture without a mask."""
    faces, options = (
        [draw_face(HELD_OUT + number, 128) for number in range(3)],
        SamplingOptions(2, mask_tokens="merged"),
    )
    ids = [torch.from_numpy(face.ids) for face in faces[:2]] + [None]
    some = [Order(Job(str(i), faces[i].caption, i), ids[i]) for i in range(3)]
    backend = LocalBackend(toy_sources(), batch=3, one_pass=one_pass)
    made = list(backend.make(some, Settings(width=128, height=128, steps=2, guidance=1.0, mask_tokens="merged")))
    for (each, picture), given in zip(made, ids, strict=True):
        shown = None if given is None else given[None]
        expected = generate(load_world(), shown, [each.job.prompt], [each.job.seed], options)[0]
        assert (picture.int() - expected.int()).abs().max() <= 1
    full = generate(load_world(), ids[0][None], [some[0].job.prompt], [0], SamplingOptions(2))[0]
    assert (made[0][1].int() - full.int()).abs().max() > 1
    backend.close()


def test_text_encoders_are_freed_before_the_transformer_loads(orders: list[Order]) -> None:
    backend = LocalBackend(toy_sources())
    backend.prepare([each.job.prompt for each in orders])
    assert "_model" not in vars(backend.disk.text)
    assert "models" not in vars(backend.disk)
    stored = backend.texts.of(orders[0].job.prompt)
    assert "_model" not in vars(backend.disk.text), "kept from before"
    expected = load_world().text.encode([orders[0].job.prompt])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(stored, expected, strict=True))
    folder = Path(backend.texts._folder.name)
    backend.close()
    assert not folder.exists()


def test_masks_without_a_network_are_refused(orders: list[Order]) -> None:
    backend = LocalBackend(Sources("toy", "toy", "toy", "toy", base_dtype="float32"))
    with pytest.raises(BackendError, match="give --mogle"):
        list(backend.make(orders[:1], SMALL))
    first(backend, Order(orders[0].job, None))
    backend.close()


def test_official_compat_has_blank_masks_and_one_generator() -> None:
    settings = as_official(SMALL)
    assert settings.local_masks == "blank"
    stream = noises(settings)
    generator = torch.Generator().manual_seed(42)
    for _ in range(3):
        expected = torch.randn((16, 8, 8), generator=generator, dtype=torch.bfloat16)
        assert torch.equal(next(stream), expected.float())


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for number in range(24):
        index_image(torch.from_numpy(draw_face(HELD_OUT + number, 32).ids)).save(folder / f"{number}.png")
    return folder


def arguments(faces: Path, out: Path, *more: str) -> list[str]:
    prompt = "A woman with red hair in front of a blue background."
    small = ["--toy", "--prompts", prompt, "--size", "32", "--steps", "2"]
    return ["generate", str(faces), *small, "--out", str(out), *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def killed_after(count: int, faces: Path, out: Path, *more: str) -> None:
    """Starts the command and kills it without warning once this many images exist."""
    command = [sys.executable, "-m", "mogle_core.cli", *arguments(faces, out, *more)]
    # As many threads as the tests have: with another number sums are rounded otherwise, here and there.
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=threads)
    try:
        while len(list(out.glob("*.png"))) < count:
            assert running.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


def test_two_shards_killed_twice_make_the_set_of_one_run(faces: Path, tmp_path: Path) -> None:
    assert main(arguments(faces, tmp_path / "whole")) == 0
    out = tmp_path / "parts"
    killed_after(2, faces, out, "--shard", "0/2")
    assert len(contents(out)) < 12
    killed_after(len(contents(out)) + 2, faces, out, "--shard", "0/2")
    assert len(contents(out)) < 12
    for index in (1, 0):
        assert main(arguments(faces, out, "--shard", f"{index}/2", "--batch", "3")) == 0
    assert contents(out) == contents(tmp_path / "whole")
    assert len(contents(out)) == 24
