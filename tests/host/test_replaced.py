"""A file that is replaced under the same name makes its node run again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.places import DATA

GOLDEN = DATA / "golden"
CASES = {
    "Load MoGLE": ("nodes.load", "LoadMoGLE", "mogle", "replaced.pt", "mogle_name", "global_local_mask_moe.pt"),
    "LoRA Apply": (
        "nodes.load",
        "LoRAApply",
        "loras",
        "replaced.safetensors",
        "lora_name",
        "pytorch_lora_weights.safetensors",
    ),
    "Parse Face": (
        "nodes.parse",
        "ParseFace",
        "face_parsing",
        "replaced.safetensors",
        "parser_name",
        "pytorch_lora_weights.safetensors",
    ),
    "Mask Score": (
        "nodes.parse",
        "MaskScore",
        "face_parsing",
        "replaced.safetensors",
        "parser_name",
        "pytorch_lora_weights.safetensors",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_replaced_file_is_read_again(case: str, comfy: Any, models_folder: Path) -> None:
    module, node, folder, name, option, source = CASES[case]
    path = models_folder / folder / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(GOLDEN / source, path)
    try:
        state = getattr(comfy.module(module), node).fingerprint_inputs
        first = state(**{option: name})
        assert first
        assert state(**{option: name}) == first
        time = path.stat().st_mtime_ns
        os.utime(path, ns=(1, time + 1_000_000))
        assert state(**{option: name}) != first
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(1, time))
        assert state(**{option: name}) != first, "another size at the same time"
    finally:
        path.unlink()
    assert state(**{option: name}) == ""


def test_what_is_connected_is_no_hindrance(comfy: Any) -> None:
    """ComfyUI asks with the widgets' values only, or with more."""
    state = comfy.module("nodes.load").LoRAApply.fingerprint_inputs
    assert state(lora_name="gone.safetensors", strength=1.0, model=None) == ""


def test_a_parser_in_a_folder_is_read_again(comfy: Any, models_folder: Path) -> None:
    """The node offers the folder's name; the file in it counts."""
    path = models_folder / "face_parsing/replaced_parser/model.safetensors"
    path.parent.mkdir(parents=True)
    shutil.copy(GOLDEN / "pytorch_lora_weights.safetensors", path)
    try:
        for node in ("ParseFace", "MaskScore"):
            state = getattr(comfy.module("nodes.parse"), node).fingerprint_inputs
            first = state(parser_name="replaced_parser")
            assert first
            assert state(parser_name="replaced_parser") == first
            before = path.stat()
            path.write_bytes(path.read_bytes() + b"\0")
            os.utime(path, ns=(1, before.st_mtime_ns))
            second = state(parser_name="replaced_parser")
            assert second != first, "another size at the same time"
            os.utime(path, ns=(1, before.st_mtime_ns + 1_000_000))
            assert state(parser_name="replaced_parser") not in (first, second)
    finally:
        shutil.rmtree(path.parent)
    assert state(parser_name="replaced_parser") == ""


def test_a_file_in_a_folder_of_loras_is_read_again(comfy: Any, models_folder: Path) -> None:
    path = models_folder / "loras/faces/replaced.safetensors"
    path.parent.mkdir(parents=True)
    shutil.copy(GOLDEN / "pytorch_lora_weights.safetensors", path)
    state = comfy.module("nodes.load").LoRAApply.fingerprint_inputs
    try:
        name = os.path.join("faces", "replaced.safetensors")
        first = state(lora_name=name)
        other = path.with_name("other.safetensors")
        shutil.copy(DATA / "field/fp8_lora.safetensors", other)
        os.utime(other, ns=(1, path.stat().st_mtime_ns))
        os.replace(other, path)  # as a download that is renamed at its end
        assert first
        assert state(lora_name=name) not in ("", first)
    finally:
        shutil.rmtree(path.parent)
