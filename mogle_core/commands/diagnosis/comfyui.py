"""Checks a ComfyUI's folders: its version, the pack in it, and the models that a picture needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .findings import Finding
from .pack import pack
from .weights import ENDINGS, Kind, examined

OLDEST = (0, 3, 64)


@dataclass(frozen=True)
class Need:
    """Something that a picture needs. folders: of `models`. remedy: which file to put into the first of them.

    mixed: the folders also hold files of other models, which are ignored.
    """

    what: str
    kinds: tuple[Kind, ...]
    folders: tuple[str, ...]
    remedy: str
    mixed: bool = True


NEEDS = (
    Need("transformer of FLUX.1", ("transformer",), ("diffusion_models", "unet"), "flux1-dev.safetensors"),
    Need("VAE of FLUX.1", ("VAE",), ("vae",), "ae.safetensors"),
    Need("text encoder CLIP-L", ("CLIP-L",), ("text_encoders", "clip"), "clip_l.safetensors"),
    Need("text encoder T5-XXL", ("T5",), ("text_encoders", "clip"), "t5xxl_fp16.safetensors"),
    Need("network of Face-MoGLE", ("network", "network and LoRA"), ("mogle",), "global_local_mask_moe.pt", mixed=False),
    Need("LoRA of Face-MoGLE", ("LoRA", "network and LoRA"), ("loras", "mogle"), "pytorch_lora_weights.safetensors"),
    Need("face parser", ("parser",), ("face_parsing",), "face-parsing/model.safetensors and config.json", mixed=False),
    Need("face detector", ("detector",), ("face_detection",), "face_detection_yunet_2023mar.onnx", mixed=False),
)


def is_comfyui(path: Path) -> bool:
    """Whether the path is ComfyUI or a base directory of one."""
    return (path / "models").is_dir()


def comfyui(path: Path) -> Iterator[Finding]:
    """The version, the pack, every file of weights for Face-MoGLE, and the missing ones."""
    if (path / "main.py").is_file() or (path / "comfyui_version.py").is_file():
        yield _version(path)
    yield from pack(path)
    there: set[Kind] = set()
    for file in _candidates(path / "models"):
        kind, finding = examined(file)
        if kind == "other":
            continue  # of another model, which does not matter here
        if kind is not None:
            there.add(kind)
        yield finding
    for need in NEEDS:
        if not there & set(need.kinds):
            place = path / "models" / need.folders[0]
            yield Finding(str(place), f"No {need.what} was found: put {need.remedy} there.", "missing")


def _candidates(models: Path) -> Iterator[Path]:
    """Files in the folders of the needs. LoRAs only count if their names refer to Face-MoGLE."""
    folders = list(dict.fromkeys(folder for need in NEEDS for folder in need.folders))
    for folder in folders:
        for file in sorted((models / folder).rglob("*")):
            ours = folder != "loras" or "mogle" in file.name.lower() or file.name.startswith("pytorch_lora")
            if file.suffix.lower() in ENDINGS and ours and file.is_file():
                yield file


def _version(path: Path) -> Finding:
    try:
        text = (path / "comfyui_version.py").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return Finding(str(path), "This ComfyUI does not say its version: it is older than 0.3.64. Update it.", "wrong")
    found = re.search(r'__version__ = "([\d.]+)', text)
    version = found[1] if found else "of an unknown version"
    if found and tuple(int(part) for part in found[1].strip(".").split(".")) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding(str(path), f"ComfyUI {version} is older than {oldest}, which is the oldest that works.", "wrong")
    return Finding(str(path), f"ComfyUI {version}")
