"""LoRA files as people have them (tests/data/field), and what is said of each that cannot be used."""

from __future__ import annotations

from pathlib import Path

from support.places import DATA

SENTENCES = {
    "int_lora": "int64, not floating-point",
    "rank0": "empty (rank 0)",
    "alpha2": "it must be one number",
    "alpha_nan": "is nan",
    "meta_deep": "nested too deeply",
    "meta_hugeint": "cannot be read",
}


def lora_of_the_field(name: str) -> Path:
    return DATA / f"field/{name}.safetensors"
