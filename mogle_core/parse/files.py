"""The files of models/face_parsing: the name of each, and the parser in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..model.checkpoints.tensors import read_tensors
from ..support.errors import WeightsError
from .judge import is_judge, read_judge
from .parser import Parser
from .segformer import PUBLISHED, read_segformer

FOLDER = "face_parsing"
WEIGHTS = "model.safetensors"

REMEDY = f"Put config.json and model.safetensors of {PUBLISHED} into models/{FOLDER}/face-parsing"
"""What to do if a parser is missing."""


def parser_names(files: Iterable[str]) -> dict[str, str]:
    """The names that the nodes offer for the files of models/face_parsing, with the file of each.

    A folder NAME with its `NAME/model.safetensors` is called NAME; any other file by its own name.
    """
    named = {}
    for file in files:
        path = PurePosixPath(file.replace("\\", "/"))
        folder = path.name == WEIGHTS and len(path.parts) > 1
        named[str(path.parent if folder else path)] = file
    return named


def read_parser(path: Path | str) -> Parser:
    """The parser in a .safetensors, or in a folder with `model.safetensors`: a SegFormer or the toy judge.

    Raises:
        WeightsError: the file cannot be used; the message gives the reason.
    """
    path = Path(path)
    path = path / WEIGHTS if path.is_dir() else path
    if not path.is_file():
        raise WeightsError(f"There is no face parser {path.name} in {path.parent}. {REMEDY}.")
    tensors, _ = read_tensors(path)
    return read_judge(path, tensors) if is_judge(tensors) else read_segformer(path, tensors)
