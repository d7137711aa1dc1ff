"""Which pictures FID, KID and CMMD compare, and what the report says of networks and subsets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mogle_core.evaluation.material import Settings, gather
from mogle_core.evaluation.measure import measure
from mogle_core.evaluation.metrics.kernel import kernel_distance
from mogle_core.evaluation.networks.architecture import architecture_of
from mogle_core.evaluation.networks.extractors import Extractor
from mogle_core.evaluation.paper import ARCHITECTURES, COLUMNS, FURTHER
from mogle_core.evaluation.result import Result, markdown

NVIDIAS = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
"""The digest of NVIDIA's inception-2015-12-05.pt."""


class Means:
    """Six features of a picture."""

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        levels = pictures.float() / 255
        return torch.cat((levels.mean((2, 3)), levels.std((2, 3))), 1)


def write(folder: Path, names: list[str], seed: int) -> Path:
    rng = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


NAMES = [str(number) for number in range(8)]


def result(pictures: Path, real: Path, tmp_path: Path, **options: object) -> Result:
    settings = Settings(pictures, tmp_path / "out", real=real, **options)  # type: ignore[arg-type]
    network = Extractor(Means(), "toy")
    return measure(settings, gather(settings), {"inception": network, "clip_large": network})


@pytest.mark.parametrize("more", [["a", "b"], ["._1", ".ipynb_checkpoints/x"], ["Thumbs/1"]])
def test_pictures_that_are_left_out_do_not_count(more: list[str], tmp_path: Path) -> None:
    real = write(tmp_path / "real", NAMES, 1)
    plain = result(write(tmp_path / "plain", NAMES, 2), real, tmp_path)
    assert plain.figures.keys() >= {"fid", "kid", "cmmd"}
    with_more = write(tmp_path / "more", NAMES, 2)
    write(with_more, more, 3)
    assert result(with_more, real, tmp_path).figures == plain.figures
    write(real, more[:1] if not more[0].startswith(".") and "/" not in more[0] else more, 4)
    if more[0] != "a":
        assert result(with_more, real, tmp_path).figures == plain.figures


def test_the_report_says_how_kid_was_taken(tmp_path: Path) -> None:
    real, made = write(tmp_path / "real", NAMES, 1), write(tmp_path / "made", NAMES[:5], 2)
    found = result(made, real, tmp_path, kid_subset_size=1000, kid_subsets=3)
    assert found.setup["kid"] == {"subsets": 3, "subset_size": 5, "subset_size_asked": 1000, "seed": 0}
    assert found.setup["compared"] == 5


def test_all_photos_count_if_that_is_asked(tmp_path: Path) -> None:
    real, made = write(tmp_path / "real", [*NAMES, "a", "b", "c"], 1), write(tmp_path / "made", [*NAMES, "x"], 2)
    paired, everything = (result(made, real, tmp_path, all_real=each) for each in (False, True))
    assert [each.setup["compared"] for each in (paired, everything)] == [8, 9]
    for name in ("fid", "kid", "cmmd"):
        assert paired.figures[name] != everything.figures[name]
    for folder in (real, made):
        write(folder, ["._1", ".ipynb_checkpoints/1", "Thumbs/2", "@eaDir/3"], 5)
    assert result(made, real, tmp_path, all_real=True).figures == everything.figures


@pytest.mark.parametrize(("subsets", "size"), [(0, 10), (-1, 10), (5, 1), (5, 0)])
def test_no_subset_is_an_error(subsets: int, size: int) -> None:
    with pytest.raises(ValueError, match="KID needs at least 1 subset of 2"):
        kernel_distance(torch.ones(5, 2), torch.ones(5, 2), subsets, size)


def setup(**sources: tuple[str, str | None]) -> dict[str, object]:
    return {"extractors": {kind: {"source": source, "sha256": sha} for kind, (source, sha) in sources.items()}}


def test_the_papers_rows_stand_beside_the_papers_networks_only() -> None:
    toy = Result({"fid": 1.0, "clip": 2.0}, setup=setup(inception=("toy", "00"), clip=("toy", "00")))
    table = markdown({"mine": toy})
    assert "22.24" not in table
    assert "26.32" not in table
    assert "FID ↓ (toy)" in table
    assert "Networks of mine: inception toy, clip toy." in table
    real = Result({"fid": 1.0}, setup=setup(inception=("inception-2015-12-05.pt", NVIDIAS)))
    assert "22.24" in markdown({"mine": real})
    assert "FID ↓ |" in markdown({"mine": real})


def test_each_column_is_judged_by_its_own_network() -> None:
    mixed = Result({"fid": 1.0, "clip": 2.0}, setup=setup(inception=("w.pt", NVIDIAS), clip=("my.module:Clip", None)))
    table = markdown({"mine": mixed})
    assert "22.24" in table
    assert "26.32" not in table
    assert "Text ↑ (my.module:Clip)" in table


NETWORK_OF = {column.name: column.network for column in (*COLUMNS, *FURTHER) if column.network}
PAPERS = {"structure_official": "2.44", "cmmd": "0.477", "clip": "26.32", "fid": "22.24", "image_reward": "0.7014"}


@pytest.mark.parametrize("name", NETWORK_OF)
@pytest.mark.parametrize("source", [("toy", "00"), ("my.module:network", None)])
def test_every_column_names_a_stand_in(name: str, source: tuple[str, str | None]) -> None:
    table = markdown({"mine": Result({name: 1.0}, setup=setup(**{str(NETWORK_OF[name]): source}))})
    title = next(column.title for column in (*COLUMNS, *FURTHER) if column.name == name)
    assert f"{title} ({source[0]})" in table
    if name in PAPERS:
        assert PAPERS[name] not in table


@pytest.mark.parametrize("name", PAPERS)
def test_a_toy_result_beside_a_real_one_takes_the_papers_figure_away(name: str) -> None:
    kind = str(NETWORK_OF[name])
    real = Result({name: 1.0}, setup=setup(**{kind: ("weights", NVIDIAS)}))
    toy = Result({name: 2.0}, setup=setup(**{kind: ("toy", "00")}))
    assert PAPERS[name] in markdown({"real": real})
    both = markdown({"real": real, "toy": toy})
    assert PAPERS[name] not in both
    assert "(toy" in both
    assert "Networks of real: " in both and "Networks of toy: " in both


def test_an_inception_network_that_is_not_the_papers_is_a_stand_in() -> None:
    for digest in ("ab" * 32, NVIDIAS[::-1], ""):
        table = markdown({"mine": Result({"fid": 1.0}, setup=setup(inception=("inception-2015-12-05.pt", digest)))})
        assert "22.24" not in table
        assert "FID ↓ (inception-2015-12-05.pt)" in table
    torch_fidelitys = "6726825d" + "0" * 56
    table = markdown({"mine": Result({"fid": 1.0}, setup=setup(inception=("weights.pth", torch_fidelitys)))})
    assert "22.24" in table
    assert "(weights.pth)" not in table


@pytest.mark.parametrize("name", ["clip", "cmmd", "structure_official", "image_reward"])
def test_a_network_whose_digest_nobody_published_is_named_in_its_column(name: str) -> None:
    table = markdown(
        {"mine": Result({name: 1.0}, setup=setup(**{str(NETWORK_OF[name]): ("my-own-folder", "ab" * 32)}))}
    )
    assert PAPERS[name] in table
    assert "(my-own-folder)" in table.splitlines()[0]


def folder(path: Path, **config: object) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return path


VISION = {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16, "image_size": 224}
SIZES = {
    "clip": {"model_type": "clip", "projection_dim": 512, "vision_config": VISION},
    "clip_large": {
        "model_type": "clip",
        "projection_dim": 768,
        "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24, "patch_size": 14, "image_size": 336},
    },
    "dino": {"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "patch_size": 8, "image_size": 224},
}


@pytest.mark.parametrize("kind", SIZES)
def test_the_published_sizes_are_known(kind: str, tmp_path: Path) -> None:
    assert architecture_of(folder(tmp_path / "a", **SIZES[kind])) == ARCHITECTURES[kind]


def test_sizes_that_a_file_leaves_out_are_the_defaults(tmp_path: Path) -> None:
    clip = folder(tmp_path / "a", model_type="clip", vision_config={"patch_size": 16})
    assert architecture_of(clip) == ARCHITECTURES["clip"]
    assert architecture_of(folder(tmp_path / "b", model_type="vit", patch_size=8)) == ARCHITECTURES["dino"]
    assert architecture_of(folder(tmp_path / "c", model_type="segformer")) is None
    assert architecture_of(tmp_path) is None


@pytest.mark.parametrize(("name", "kind"), [("clip", "clip"), ("cmmd", "clip_large"), ("structure_official", "dino")])
@pytest.mark.parametrize("change", [{"hidden_size": 16}, {"num_hidden_layers": 2}, {"patch_size": 32}])
def test_an_own_networks_folder_does_not_stand_beside_the_papers_rows(
    name: str, kind: str, change: dict[str, int], tmp_path: Path
) -> None:
    config: dict[str, object] = dict(SIZES[kind])
    if "vision_config" in config:
        config["vision_config"] = {**config["vision_config"], **change}  # type: ignore[dict-item]
    else:
        config |= change
    for number, sizes in enumerate((config, SIZES[kind])):
        used = {
            "source": "mine",
            "sha256": "ab" * 32,
            "architecture": architecture_of(folder(tmp_path / str(number), **sizes)),
        }
        table = markdown({"mine": Result({name: 1.0}, setup={"extractors": {kind: used}})})
        assert (PAPERS[name] in table) == (number == 1)
        assert "(mine)" in table
        assert ("No digest of the published weights is known for mine" in table) == (number == 1)
