"""`mogle doctor`: what is installed, which devices there are, which weights were found, and what is wrong with them."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..model.checkpoints.files import Checkpoint, read
from ..support.errors import WeightsError

PACKAGES = ("torch", "numpy", "Pillow", "einops", "safetensors", "opencv-python-headless", "diffusers", "transformers")


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("paths", nargs="*", type=Path, help="checkpoints, folders, or a ComfyUI")


def run(options: argparse.Namespace) -> Iterator[str]:
    """The report, line by line."""
    return report(options.paths)


def report(paths: list[Path]) -> Iterator[str]:
    """The report, line by line.

    paths: checkpoints, folders of them, or a ComfyUI, whose models/mogle and models/loras are looked through.
    """
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield from (f"{name} {_version(name)}" for name in PACKAGES)
    yield from devices()
    for path in paths:
        files = sorted(checkpoints(path))
        if not files:
            yield f"{path}: no checkpoint found (looked for .pt and .safetensors)."
        yield from (f"{file}: {verdict(file)}" for file in files)


def devices() -> Iterator[str]:
    """The accelerators that torch sees, with their memory."""
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"cuda:{index} {properties.name}, {properties.total_memory / 2**30:.1f} GiB"
    if torch.backends.mps.is_available():
        yield "mps (Apple)"
    yield f"cpu, {torch.get_num_threads()} threads"


def checkpoints(path: Path) -> Iterator[Path]:
    """The files that may be ours: a file itself, a folder's, or a ComfyUI's."""
    if path.is_file():
        yield path
        return
    models = path / "models"
    folders = [models / "mogle", models / "loras"] if models.is_dir() else [path]
    for folder in folders:
        for file in folder.rglob("*"):
            ours = folder.name != "loras" or "mogle" in file.name.lower() or file.name.startswith("pytorch_lora")
            if file.suffix in (".pt", ".safetensors") and ours:
                yield file


def verdict(file: Path) -> str:
    """One sentence on a checkpoint."""
    try:
        return describe(read(file))
    except WeightsError as error:
        return f"NOT USABLE. {error}"


def describe(checkpoint: Checkpoint) -> str:
    """What a checkpoint holds, in words."""
    parts = []
    if checkpoint.network is not None:
        config = checkpoint.network.config
        count = sum(parameter.numel() for parameter in checkpoint.network.parameters())
        parts.append(f"network ({config.num_experts} experts, {config.gate} gate, {count:,} parameters)")
    if checkpoint.lora is not None:
        lora = checkpoint.lora
        ranks = {part.rank for name in lora.rows for part in lora.parts(name)}
        rank = ", ".join(str(rank) for rank in sorted(ranks))
        parts.append(f"LoRA (rank {rank}, {len(lora.rows)} layers of a transformer {lora.width} wide)")
    return f"{' and '.join(parts)}; gate timestep {checkpoint.recipe.gate_timestep}."


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"
