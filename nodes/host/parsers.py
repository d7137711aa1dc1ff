"""Face parsers under ComfyUI's memory management, and the face detector's file."""

from __future__ import annotations

import copy
import dataclasses
import os
from functools import lru_cache
from typing import Any

import comfy.model_management
import folder_paths
from torch import Tensor

from ...mogle_core.parse import yunet
from ...mogle_core.parse.align import Landmarks
from ...mogle_core.parse.files import FOLDER, REMEDY, parser_names, read_parser
from ...mogle_core.parse.parser import Parser, as_levels
from .files import DETECTION_FOLDER, file_state
from .versions import ModelPatcher, patcher


@dataclasses.dataclass(frozen=True)
class LoadedParser:
    """A parser, and the patcher by which ComfyUI moves its weights."""

    parser: Parser
    patcher: ModelPatcher

    def on_device(self) -> Parser:
        """The parser, loaded to where ComfyUI wants it."""
        comfy.model_management.load_models_gpu([self.patcher], force_full_load=True)
        module, device = self.parser.module, self.patcher.load_device
        if all(weight.device.type == device.type for weight in module.state_dict().values()):
            return self.parser
        # With `--novram` ComfyUI leaves layers behind that are not of its classes.
        moved = copy.deepcopy(module).to(device)
        parser: Any = self.parser  # each kind of parser is a dataclass, which the protocol cannot say
        at_device: Parser = dataclasses.replace(parser, module=moved)
        return at_device


def parser_choices() -> dict[str, str]:
    """The parsers in models/face_parsing by the names that the nodes offer, and their files."""
    files = folder_paths.get_filename_list(FOLDER)
    return parser_names(file for file in files if file.lower().endswith((".safetensors", ".sft")))


def parser_complaint(name: str | None) -> str | None:
    """The sentence to show if there is no parser of this name; None if there is."""
    names = parser_choices()
    if name in names:
        return None
    if not names:
        return f"models/{FOLDER} holds no face parser yet. {REMEDY}, then press R to refresh."
    return f"models/{FOLDER} has no parser {name!r}. {REMEDY}, or choose one of: {', '.join([*names][:10])}."


def parser_state(name: str | None) -> str:
    """As `file_state`, of a parser by the name that the nodes offer."""
    return file_state(FOLDER, parser_choices().get(name or ""))


def parse(name: str | None, pictures: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) in 0..1 -> ids (B, H, W) uint8 by the parser of this name. Raises ValueError."""
    if complaint := parser_complaint(name):
        raise ValueError(complaint)
    path = folder_paths.get_full_path_or_raise(FOLDER, parser_choices()[str(name)])
    return _loaded(path, parser_state(name)).on_device()(pictures)


@lru_cache(maxsize=1)
def _loaded(path: str, state: str) -> LoadedParser:
    # Kept between runs: Parse Face and Mask Score mostly use the same one.
    parser = read_parser(path)
    return LoadedParser(parser, patcher(parser.module, (parser_patcher, (path,))))


def parser_patcher(path: str, disable_dynamic: bool = False) -> ModelPatcher:
    """The parser once more, for another device."""
    return patcher(read_parser(path).module, (parser_patcher, (path,)))


def detected_landmarks(pictures: Tensor) -> list[Landmarks | None] | None:
    """Eyes and mouth in each of the pictures (B, H, W, 3) by YuNet; None if its model file is not there."""
    for folder in (FOLDER, DETECTION_FOLDER):
        for file in folder_paths.get_filename_list(folder):
            if os.path.basename(file) == yunet.FILE:
                model = folder_paths.get_full_path_or_raise(folder, file)
                return [yunet.detect(picture.numpy(), model) for picture in as_levels(pictures)]
    return None
