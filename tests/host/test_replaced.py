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
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
        assert state(**{option: name}) != first
    finally:
        path.unlink()
    assert state(**{option: name}) == ""


def test_what_is_connected_is_no_hindrance(comfy: Any) -> None:
    """ComfyUI asks with the widgets' values only, or with more."""
    state = comfy.module("nodes.load").LoRAApply.fingerprint_inputs
    assert state(lora_name="gone.safetensors", strength=1.0, model=None) == ""
