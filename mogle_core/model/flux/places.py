"""Finds a FLUX.1 transformer's files: BFL's single file, or the files of a diffusers folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...support.errors import WeightsError
from ...support.texts import TextError, read_json_file

_SINGLE = "diffusion_pytorch_model.safetensors"


def checked_file(path: Path) -> Path:
    if path.suffix.lower() == ".gguf":
        raise WeightsError(
            f"{path.name} is a GGUF file, which only ComfyUI's GGUF loader reads. Here, use the .safetensors "
            "of FLUX.1 (bf16, fp16 or fp8) or diffusers' folder."
        )
    if not path.is_file():
        raise WeightsError(f"There is no {path.name} in {path.parent}: expected FLUX.1's .safetensors or folder.")
    return path


def files_of_folder(path: Path) -> tuple[list[Path], tuple[int, ...] | None]:
    """The files of diffusers' folder, and the rope axes in its config.json."""
    folder = path / "transformer" if (path / "transformer").is_dir() else path
    config = _json(folder / "config.json") if (folder / "config.json").is_file() else {}
    kind = config.get("_class_name", "FluxTransformer2DModel")
    if kind != "FluxTransformer2DModel":
        raise WeightsError(
            f"{folder} holds a {kind}, but Face-MoGLE was made for FLUX.1 (FluxTransformer2DModel): use "
            "FLUX.1-dev's folder."
        )
    axes = config.get("axes_dims_rope")
    return _shards(folder), tuple(axes) if axes else None


def _shards(folder: Path) -> list[Path]:
    index = folder / f"{_SINGLE}.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(_json(index).get("weight_map", {}).values()))]
    elif (folder / _SINGLE).is_file():
        files = [folder / _SINGLE]
    else:
        files = sorted(folder.glob("diffusion_pytorch_model*.safetensors"))
    if not files:
        raise WeightsError(
            f"{folder} holds no diffusion_pytorch_model*.safetensors: this is not a transformer's folder."
        )
    if absent := [file.name for file in files if not file.is_file()]:
        raise WeightsError(
            f"{folder} lacks {len(absent)} of the {len(files)} files that its index names (first: {absent[0]}): "
            "download them again."
        )
    return files


def _json(path: Path) -> dict[str, Any]:
    try:
        content = read_json_file(path)
    except TextError as error:
        raise WeightsError(f"{error} Download it again.") from error
    return content if isinstance(content, dict) else {}
