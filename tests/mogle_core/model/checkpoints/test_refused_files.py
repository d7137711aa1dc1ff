"""Each way in which a checkpoint can be wrong has its message, which names the file."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.checkpoint_files import LORA, NETWORK, network, refused, stored
from support.small_weights import flux_weights, taesd_weights

from mogle_core.model.checkpoints.files import read_lora, read_network, save
from mogle_core.model.checkpoints.recipe import Recipe

OFFICIAL = torch.load(NETWORK, weights_only=True)


def test_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / "mogle.pt", f"There is no file mogle.pt in {tmp_path}")
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "folder.pt", "There is no file")


@pytest.mark.parametrize("name", ["mogle.pt", "lora.safetensors"])
def test_empty(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    refused(tmp_path / name, "is empty: the download or copy did not finish")


@pytest.mark.parametrize("length", [4, 50, 1000, 0.1, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("form", ["zip", "before torch 1.6", "safetensors"])
def test_truncated(form: str, length: float, tmp_path: Path) -> None:
    path = tmp_path / ("mogle.safetensors" if form == "safetensors" else "mogle.pt")
    if form == "safetensors":
        stored(path, OFFICIAL)
    else:
        torch.save(OFFICIAL, path, _use_new_zipfile_serialization=form == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: length if isinstance(length, int) else int(length * len(content))])
    refused(path, "truncated|no weights at all")


def test_every_short_pickle_is_refused(tmp_path: Path) -> None:
    """An old-style file that is cut in its first bytes, where the unpickler itself fails."""
    buffer = io.BytesIO()
    torch.save(OFFICIAL, buffer, _use_new_zipfile_serialization=False)
    for length in range(1, 600, 7):
        (tmp_path / "mogle.pt").write_bytes(buffer.getvalue()[:length])
        refused(tmp_path / "mogle.pt", "truncated|no weights at all")


OTHERS = {
    "web page": (b"<html>not found</html>", "a web page"),
    "another web page": (b"\n\n<!DOCTYPE html><html>", "a web page"),
    "XML": (b"\xef\xbb\xbf<?xml version='1.0'?>", "a web page"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a pointer of Git LFS.*git lfs pull"),
    "a server's answer": (b'{"error": "Entry not found"}', "a text that begins with .*Entry not found"),
    "a note": (b"Please log in first.", "a text that begins with 'Please log in first"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "JPEG": (b"\xff\xd8\xff\xe0", "a picture"),
    "gzip": (b"\x1f\x8b\x08\0", "packed by gzip: unpack it"),
    "GGUF": (b"GGUF\3\0\0\0", "a GGUF file"),
    "noise": (bytes(range(200, 256)), "truncated or no|no weights at all"),
}


@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("name", ["mogle.pt", "lora.safetensors", "LORA.SFT", "mogle.ckpt"])
def test_something_else_entirely_is_named(name: str, case: str, tmp_path: Path) -> None:
    content, sentence = OTHERS[case]
    (tmp_path / name).write_bytes(content * 20)
    refused(tmp_path / name, sentence)


def test_wrong_ending(tmp_path: Path) -> None:
    refused(Path(shutil.copy(NETWORK, tmp_path / "mogle.safetensors")), "a PyTorch file .*not a .safetensors file")
    refused(Path(shutil.copy(LORA, tmp_path / "lora.pt")), "a .safetensors file by its contents: rename it")


class Touch:
    """A pickle that creates a file if it is opened with code execution."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o700)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_code_in_a_pickle_is_not_run(new: bool, tmp_path: Path) -> None:
    trace = tmp_path / "was_run"
    content = OFFICIAL | {"gating.extra": Touch(trace)}
    torch.save(content, tmp_path / "mogle.pt", _use_new_zipfile_serialization=new)
    refused(tmp_path / "mogle.pt", "more than weights.*could run code")
    assert not trace.exists()
    torch.load(tmp_path / "mogle.pt", weights_only=False)
    assert trace.exists()  # it would have


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"state_dict": OFFICIAL}, {"step": 3}, torch.zeros(2)])
def test_no_plain_state_dict(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "mogle.pt")
    refused(tmp_path / "mogle.pt", f"holds a {type(content).__name__} that is not a plain state dict")


def test_lora_for_network_and_network_for_lora() -> None:
    refused(LORA, "is the LoRA, not the network: give it to LoRA Apply.*mogle.pt", read_network)
    refused(NETWORK, "is the network, not the LoRA: give it to Load MoGLE.*pytorch_lora_weights", read_lora)


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    lost = ["local_experts.3.net.0.bias", "gating.noise_proj.bias"]
    rest = {name: tensor for name, tensor in OFFICIAL.items() if name not in lost}
    refused(stored(tmp_path / "mogle.pt", rest), r"lacks 2 tensors \(.*gating\.noise_proj\.bias.*cut or renamed")
    for i in range(5):
        rest.pop(f"local_experts.{i}.net.2.weight")
    refused(stored(tmp_path / "mogle.pt", rest), r"lacks 7 tensors \(.*, \.\.\.\)")


def test_left_over_tensors_are_named(tmp_path: Path) -> None:
    more = OFFICIAL | {"local_experts.19.net.0.bias": torch.zeros(32)}
    refused(stored(tmp_path / "mogle.pt", more), r"has 1 tensors \(local_experts\.19\.net\.0\.bias\) that no MoGLE")


@pytest.mark.parametrize("lost", ["experts", "gating"])
def test_tensors_that_a_combined_file_declares_and_lacks_are_missing(lost: str, tmp_path: Path) -> None:
    """An official file without all of its experts would be another variant. Ours says which variant it is."""
    save(tmp_path / "face.safetensors", network(), None, Recipe())
    with safe_open(tmp_path / "face.safetensors", "pt") as file:
        notes, names = file.metadata(), [name for name in file.keys() if lost not in name]  # noqa: SIM118
        rest = {name: file.get_tensor(name) for name in names if not (lost == "experts" and "global" in name)}
    refused(stored(tmp_path / "cut.safetensors", rest, notes), r"lacks \d+ tensors")


def test_wrong_shapes(tmp_path: Path) -> None:
    wide = OFFICIAL | {"gating.noise_proj.weight": torch.zeros(64, 16)}
    refused(stored(tmp_path / "mogle.pt", wide), r"'gating\.noise_proj\.weight' is \(64, 16\), expected \(64, 64\)")
    few = OFFICIAL | {"gating.gate.2.weight": torch.zeros(12, 64)}
    refused(stored(tmp_path / "mogle.pt", few), r"\(12, 64\), expected \(20, 64\)\. .*20 masks")


def test_lora_errors_name_the_file(tmp_path: Path) -> None:
    tensors = load_file(LORA)
    tensors.pop("transformer.x_embedder.lora_A.weight")
    refused(stored(tmp_path / "lora.safetensors", tensors), r"lora\.safetensors: .*x_embedder' is incomplete")
    other = {"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(4, 8)}
    other["lora_unet_down_blocks_0.lora_up.weight"] = torch.zeros(8, 4)
    refused(stored(tmp_path / "sdxl.safetensors", other), "made for another base model", read_lora)


def test_a_mixture_that_is_not_ours(tmp_path: Path) -> None:
    mixed = load_file(LORA) | {"something.weight": torch.zeros(2)}
    refused(stored(tmp_path / "lora.safetensors", mixed), r"mixes LoRA tensors .*'something\.weight'")


def test_other_models_files(tmp_path: Path) -> None:
    flux = flux_weights()
    refused(stored(tmp_path / "flux.safetensors", flux), "FLUX transformer .*models/diffusion_models")
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in flux.items()}
    refused(stored(tmp_path / "checkpoint.safetensors", prefixed), "FLUX transformer")
    vae = {"encoder.conv_in.weight": torch.zeros(2), "decoder.conv_in.weight": torch.zeros(2)}
    refused(stored(tmp_path / "ae.safetensors", vae), "a VAE .*models/vae")
    refused(stored(tmp_path / "taef1.safetensors", taesd_weights()), "a VAE .*models/vae")
    refused(stored(tmp_path / "clip.safetensors", {"text_model.x": torch.zeros(2)}), "something else: .*'text_model.x'")
    refused(stored(tmp_path / "nothing.safetensors", {}), "something else: .*'missing'")
