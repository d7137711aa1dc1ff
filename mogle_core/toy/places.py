"""The folder and the file names of the embedded toy world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

TOY = "toy"
"""The word for the embedded world in a command or a configuration."""

WEIGHTS = Path(__file__).parent / "weights"
"""The embedded world's folder, made by `mogle toy build`."""

FILES: Mapping[str, str] = {
    "flux": "toy_flux.safetensors",
    "vae": "toy_vae.safetensors",
    "text": "toy_text.safetensors",
    "judge": "toy_judge.safetensors",
    "mogle": "toy_mogle.safetensors",
}
"""The files of a world's folder; ComfyUI's stock loaders take `flux` and `vae`, its MoGLE nodes `mogle`."""

SKETCH_FILE = "toy_mogle_sketch.safetensors"
"""A second network and LoRA for the same world, with an expert for sketches."""
