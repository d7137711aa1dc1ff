"""Save Masks and Load Masks in ComfyUI: the files are where its latents are, and a run with them is the same run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.masked import POSITIVE, run

DEFAULT = {"filename_prefix": "masks/MoGLE"}


@pytest.fixture
def folders(comfy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """ComfyUI's input and output folder, empty."""
    paths = comfy.module("nodes.host.mask_files").folder_paths
    found = tmp_path / "input", tmp_path / "output"
    for folder, name in zip(found, ("input", "output"), strict=True):
        folder.mkdir()
        monkeypatch.setattr(paths, f"{name}_directory", str(folder))
    return found


def saved(comfy: Any, masks: Any, folders: tuple[Path, Path]) -> Path:
    comfy.node("MoGLESaveMasks")(mask_latents=masks, **DEFAULT)
    return max((folders[1] / "masks").iterdir())


def test_a_run_with_loaded_masks_is_the_same_to_the_byte(base, gated, latents, comfy, folders) -> None:
    masks = latents(1, batch=2)
    (same,) = comfy.node("MoGLESaveMasks")(mask_latents=masks, **DEFAULT)
    assert same is masks
    host = comfy.module("nodes.host")
    assert host.masks_choices() == ["masks/MoGLE_00001_.masks.safetensors [output]"]
    loaded, latent = comfy.node("MoGLELoadMasks")(masks_name=host.masks_choices()[0])
    assert latent["samples"].shape == (2, 16, *masks.latents.shape[-2:]) and not latent["samples"].any()
    assert torch.equal(loaded.ids, masks.ids)
    model, positive, _, _ = gated(base, POSITIVE, masks)
    expected = run(model, positive, batch=2)
    model, positive, _, _ = gated(base, POSITIVE, loaded)
    assert torch.equal(run(model, positive, batch=2), expected)


def test_no_file_is_overwritten_and_each_is_offered(latents, comfy, folders) -> None:
    first = saved(comfy, latents(1), folders)
    assert saved(comfy, latents(2), folders) != first
    (folders[0] / first.name).write_bytes(first.read_bytes())
    (folders[0] / "other.safetensors").write_bytes(first.read_bytes())
    assert comfy.module("nodes.host").masks_choices() == [
        "MoGLE_00001_.masks.safetensors",
        "masks/MoGLE_00001_.masks.safetensors [output]",
        "masks/MoGLE_00002_.masks.safetensors [output]",
    ]


def test_the_file_has_the_workflow_as_a_latent_has(latents, comfy, folders, monkeypatch) -> None:
    module = comfy.module("nodes.host.mask_files")
    module.save_masks(latents(1), "masks/MoGLE", {"1": {}}, {"workflow": {"nodes": []}})
    with safe_open(folders[1] / "masks/MoGLE_00001_.masks.safetensors", "pt") as file:
        stored = file.metadata()
    assert json.loads(stored["workflow"]) == {"nodes": []} and json.loads(stored["prompt"]) == {"1": {}}
    monkeypatch.setattr(module.args, "disable_metadata", True)
    module.save_masks(latents(1), "masks/MoGLE", {"1": {}}, {"workflow": {"nodes": []}})
    with safe_open(folders[1] / "masks/MoGLE_00002_.masks.safetensors", "pt") as file:
        assert set(file.metadata()) == {"mogle.masks"}


@pytest.mark.parametrize("name", ["gone.masks.safetensors", "../input/one.masks.safetensors", "/etc/passwd", ""])
def test_a_name_that_is_not_offered_is_a_sentence(name: str, comfy, folders) -> None:
    (folders[0] / "one.masks.safetensors").touch()
    node = comfy.module("nodes.stored").LoadMasks
    assert "There is no file" in node.validate_inputs(masks_name=name)
    assert node.validate_inputs(masks_name="one.masks.safetensors") is True
    assert node.fingerprint_inputs(masks_name=name) == ""


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("MoGLELoader", "mogle_name"),
        ("MoGLELoRAApply", "lora_name"),
        ("MoGLEParseFace", "parser_name"),
        ("MoGLELoadMasks", "masks_name"),
    ],
)
def test_a_linked_name_is_checked_when_the_node_runs(node: str, name: str, comfy, folders) -> None:
    """ComfyUI asks with None while the name is another node's output."""
    import nodes

    assert nodes.NODE_CLASS_MAPPINGS[node].validate_inputs(**{name: None}) is True


def test_masks_that_are_gone_when_the_node_runs_are_a_sentence(comfy, folders) -> None:
    with pytest.raises(ValueError, match="There is no file 'gone.masks.safetensors'"):
        comfy.node("MoGLELoadMasks")(masks_name="gone.masks.safetensors")


def test_a_foreign_file_is_a_sentence(comfy, folders) -> None:
    save_file({"latent_tensor": torch.zeros(1, 16, 4, 4)}, folders[0] / "foreign.masks.safetensors")
    with pytest.raises(ValueError, match="foreign.masks.safetensors holds no encoded masks"):
        comfy.node("MoGLELoadMasks")(masks_name="foreign.masks.safetensors")


def test_a_prefix_that_leads_out_of_the_output_folder_writes_nothing(latents, comfy, folders, tmp_path) -> None:
    with pytest.raises(Exception, match="outside"):
        comfy.node("MoGLESaveMasks")(mask_latents=latents(1), filename_prefix="../out/MoGLE")
    assert not list(tmp_path.rglob("*.masks.safetensors"))


def test_a_replaced_file_is_read_again(latents, comfy, folders) -> None:
    path = saved(comfy, latents(1), folders)
    state = comfy.module("nodes.stored").LoadMasks.fingerprint_inputs
    name = "masks/MoGLE_00001_.masks.safetensors [output]"
    first = state(masks_name=name)
    assert first and state(masks_name=name) == first
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
    assert state(masks_name=name) != first
