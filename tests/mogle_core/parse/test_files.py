"""Files of the parsers: their names, the judge as a parser, and an error for files that are not parsers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mogle_core.parse.files import parser_names, read_parser
from mogle_core.parse.judge import JudgeParser
from mogle_core.parse.parser import as_levels, likeliest
from mogle_core.support.errors import WeightsError
from mogle_core.toy.judge import Judge, parse


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "toy_judge.safetensors"
    save_file({name: tensor.half() for name, tensor in Judge().state_dict().items()}, path)
    return path


def pictures(count: int, height: int, width: int) -> Tensor:
    levels = torch.randint(0, 256, (count, height, width, 3), generator=torch.Generator().manual_seed(1))
    return levels.float() / 255


def test_folders_are_called_by_their_name_and_files_by_theirs() -> None:
    files = ["toy_judge.safetensors", "segformer/model.safetensors", "a\\b\\model.safetensors", "c/other.safetensors"]
    assert parser_names([*files, "model.safetensors"]) == {
        "toy_judge.safetensors": files[0],
        "segformer": files[1],
        "a/b": files[2],
        "c/other.safetensors": files[3],
        "model.safetensors": "model.safetensors",
    }


def test_the_judge_parses_its_native_size_unchanged(judge: Path) -> None:
    parser = read_parser(judge)
    assert isinstance(parser, JudgeParser)
    photos = pictures(2, 128, 128)
    expected = parse(parser.module, as_levels(photos))  # type: ignore[arg-type]
    assert len(expected.unique()) > 2
    assert torch.equal(parser(photos), expected)


@pytest.mark.parametrize("size", [(64, 200), (301, 97)])
def test_any_size_is_parsed_at_its_size_and_each_picture_by_itself(judge: Path, size: tuple[int, int]) -> None:
    parser, photos = read_parser(judge), pictures(2, *size)
    found = parser(photos)
    assert found.shape == (2, *size)
    assert found.dtype == torch.uint8
    assert torch.equal(found[1:], parser(photos[1:]))
    opaque = torch.cat((photos, torch.ones(2, *size, 1)), -1)
    assert torch.equal(parser(opaque), found)


def test_logits_are_stretched_before_the_largest_is_taken() -> None:
    logits = torch.stack([torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])])
    # Between the two centres the classes cross at a quarter of the way.
    assert likeliest(logits, 1, 8).tolist() == [[0, 0, 0, 1, 1, 1, 1, 1]]


def test_an_input_that_is_not_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8, 1\)"):
        as_levels(torch.zeros(1, 8, 8, 1))


def test_a_file_that_is_not_a_parser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no face parser missing\.safetensors.*huggingface.co/jonathandinu"):
        read_parser(tmp_path / "missing.safetensors")
    folder = tmp_path / "face-parsing"
    folder.mkdir()
    with pytest.raises(WeightsError, match=r"no face parser model\.safetensors in .*face-parsing\. Put config.json"):
        read_parser(folder)
    save_file({"double_blocks.0.img_attn.qkv.weight": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"face-parsing/model.safetensors is not a SegFormer.*double_blocks"):
        read_parser(folder)
    (folder / "model.safetensors").write_bytes(b"<html>not found")
    with pytest.raises(WeightsError, match="model.safetensors is a web page"):
        read_parser(folder)


def test_a_judge_of_other_sizes_is_refused(judge: Path) -> None:
    weights = {name: torch.zeros(*tensor.shape, 2) for name, tensor in Judge().state_dict().items()}
    save_file(weights, judge)
    with pytest.raises(WeightsError, match="another version of the toy world"):
        read_parser(judge)
