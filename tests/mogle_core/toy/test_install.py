"""`mogle toy install` puts every file where a loader looks, and loses none of the user's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.full_disk import room_for
from support.sketch_files import write_sketching

from mogle_core.cli import main
from mogle_core.model.checkpoints import files as weights
from mogle_core.model.flux.files import load_flux
from mogle_core.parse.files import read_parser
from mogle_core.parse.judge import JudgeParser
from mogle_core.support.whole_files import DiskFullError
from mogle_core.toy.drawer.faces import draw_label_map, draw_portrait
from mogle_core.toy.drawer.faceset import HELD_OUT
from mogle_core.toy.drawer.photo import draw_photo
from mogle_core.toy.drawer.sketching import draw_sketch
from mogle_core.toy.install import EXAMPLE_MASK, EXAMPLE_PHOTO, EXAMPLE_SKETCH, InstallError, install
from mogle_core.toy.places import FILES
from mogle_core.training.config.reading import load_config

PLACES = (
    "models/diffusion_models/toy_flux.safetensors",
    "models/vae/toy_vae.safetensors",
    "models/mogle/toy_mogle.safetensors",
    "models/loras/toy_mogle.safetensors",
    "models/face_parsing/toy_judge.safetensors",
    "input/mogle_toy_mask.png",
    "input/mogle_toy_photo.png",
)
EXAMPLE_SEED = HELD_OUT + 6


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    (tmp_path / "comfyui/models").mkdir(parents=True)
    return tmp_path / "comfyui"


def test_each_file_is_where_its_loader_looks(comfyui: Path, untrained: Path) -> None:
    assert install(comfyui, folder=untrained) == [comfyui / place for place in PLACES]
    load_flux(comfyui / PLACES[0])
    assert weights.read_network(comfyui / PLACES[2]).network is not None
    assert weights.read_lora(comfyui / PLACES[3]).lora is not None
    assert isinstance(read_parser(comfyui / PLACES[4]), JudgeParser)
    assert {path.relative_to(comfyui).as_posix() for path in comfyui.rglob("*") if path.is_file()} == set(PLACES)


def written(path: Path) -> tuple[int, ...]:
    """Everything that a write would change, except the access time: comparing files reads them."""
    now = path.lstat()
    return now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns, now.st_ctime_ns


@pytest.mark.parametrize("link", [False, True])
def test_a_second_install_writes_nothing(comfyui: Path, untrained: Path, link: bool) -> None:
    install(comfyui, untrained, link)
    before = {place: written(comfyui / place) for place in PLACES}
    install(comfyui, untrained, link)
    assert {place: written(comfyui / place) for place in PLACES} == before


def test_links_and_copies_replace_each_other_and_leave_the_sources(comfyui: Path, untrained: Path) -> None:
    source = untrained / "toy_flux.safetensors"
    held = source.read_bytes()
    install(comfyui, link=True, folder=untrained)
    linked = {place for place in PLACES if (comfyui / place).is_symlink()}
    assert linked == {place for place in PLACES if "toy_mogle" not in place and not place.startswith("input/")}
    assert (comfyui / PLACES[0]).resolve() == source.resolve()
    install(comfyui, link=False, folder=untrained)
    assert not any((comfyui / place).is_symlink() for place in PLACES)
    assert source.read_bytes() == (comfyui / PLACES[0]).read_bytes() == held


def test_a_trained_file_copied_over_an_installed_one_leaves_the_source(
    comfyui: Path, untrained: Path, tmp_path: Path
) -> None:
    """As a user does with what `mogle train` wrote: it has the same name."""
    source = untrained / "toy_mogle.safetensors"
    held, trained = source.read_bytes(), tmp_path / "toy_mogle.safetensors"
    trained.write_bytes(b"trained")
    install(comfyui, link=True, folder=untrained)
    for place in ("models/mogle", "models/loras"):
        shutil.copy(trained, comfyui / place)
    assert source.read_bytes() == held


def test_linked_or_not_the_pictures_are_inside_the_input_folder(comfyui: Path, untrained: Path) -> None:
    """ComfyUI looks at their real place, and refuses others from 0.28 on."""
    install(comfyui, link=True, folder=untrained)
    pictures = list((comfyui / "input").iterdir())
    assert len(pictures) == 2
    assert all(path.resolve().parent == (comfyui / "input").resolve() for path in pictures)


def test_another_file_in_the_way_stays_and_nothing_is_written(comfyui: Path, untrained: Path) -> None:
    own = comfyui / PLACES[1]
    own.parent.mkdir()
    own.write_bytes(b"the user's")
    with pytest.raises(InstallError, match=r"toy_vae.safetensors. --force replaces"):
        install(comfyui, folder=untrained)
    assert own.read_bytes() == b"the user's"
    assert [path for path in comfyui.rglob("*") if path.is_file()] == [own]
    install(comfyui, force=True, folder=untrained)
    assert own.read_bytes() == (untrained / own.name).read_bytes()


def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_is_not(
    comfyui: Path, untrained: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"somebody else's")
    own = comfyui / PLACES[0]
    own.parent.mkdir()
    own.symlink_to(elsewhere)
    with pytest.raises(InstallError):
        install(comfyui, folder=untrained)
    install(comfyui, force=True, folder=untrained)
    assert elsewhere.read_bytes() == b"somebody else's"
    assert not own.is_symlink()


def test_a_folder_without_comfyui_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy", "install", str(tmp_path), "--weights", str(tmp_path)]) == 1
    assert "is not a ComfyUI: it has no folder models" in capsys.readouterr().err


def test_missing_weights_are_reported(comfyui: Path, tmp_path: Path) -> None:
    with pytest.raises(InstallError, match=r"toy_flux\S+, toy_judge\S+, toy_mogle\S+, toy_vae.safetensors not found"):
        install(comfyui, folder=tmp_path)


def test_a_network_for_sketches_comes_with_an_example(comfyui: Path, untrained: Path, tmp_path: Path) -> None:
    """Where the world has one. Like the other network, it is never linked."""
    world = tmp_path / "world"
    shutil.copytree(untrained, world)
    write_sketching(world, untrained / FILES["mogle"])
    more = [f"models/{place}/toy_mogle_sketch.safetensors" for place in ("mogle", "loras")]
    more.append("input/mogle_toy_sketch.png")
    assert set(install(comfyui, world, link=True)) == {comfyui / place for place in (*PLACES, *more)}
    assert not any((comfyui / place).is_symlink() for place in more)
    assert weights.read_network(comfyui / more[0]).network.config.extra == ("sketch",)


def test_the_example_sketch_is_of_the_example_masks_face() -> None:
    assert np.array_equal(np.array(Image.open(EXAMPLE_SKETCH)), draw_sketch(EXAMPLE_SEED))


def test_the_example_mask_is_a_drawn_one() -> None:
    """Equal to the pixel with one version of OpenCV. Another may fill the edge of an outline differently."""
    drawn = draw_label_map(draw_portrait(EXAMPLE_SEED)[0], 128)
    assert np.mean(np.array(Image.open(EXAMPLE_MASK)) == drawn) > 0.99


def test_the_example_photo_is_a_drawn_one() -> None:
    """Equal up to the rounding of different versions of OpenCV."""
    stored = np.array(Image.open(EXAMPLE_PHOTO)).astype(int)
    assert np.abs(stored - draw_photo()).mean() < 1


def test_interrupted_it_leaves_nothing_that_blocks_the_next(
    comfyui: Path, untrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", stopped)
        with pytest.raises(KeyboardInterrupt):
            install(comfyui, folder=untrained)
    assert not [path for path in comfyui.rglob("*") if path.is_file()]
    assert all(path.is_file() for path in install(comfyui, folder=untrained))


def test_on_a_full_disk_it_leaves_whole_files_only(comfyui: Path, untrained: Path) -> None:
    with room_for(10_000), pytest.raises(DiskFullError, match="toy_flux.safetensors was not written"):
        install(comfyui, folder=untrained)
    assert not [path for path in comfyui.rglob("*") if path.is_file()]
    install(comfyui, folder=untrained)


def test_the_recipe_s_result_does_not_have_the_embedded_file_s_name() -> None:
    """Copied over a link to the embedded file, it would be written into the package."""
    assert f"{load_config('toy').output.name}.safetensors" not in FILES.values()
