"""Reads a network's sizes from its transformers folder, to compare them with those of the published network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...support.texts import read_json_file

_DEFAULTS = {"clip": {"patch_size": 32, "projection_dim": 512}, "vit": {"patch_size": 16}}
"""The defaults of transformers for values that a config.json leaves out, in addition to those that both kinds share."""

_SHARED = {"hidden_size": 768, "num_hidden_layers": 12, "image_size": 224}


def architecture_of(folder: Path) -> str | None:
    """The network's sizes in words, for example `ViT of width 768, 12 layers, patches of 8`.

    None for a single file, and for a network that is neither CLIP nor ViT.
    """
    config = folder / "config.json"
    content = read_json_file(config) if config.is_file() else None
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind not in _DEFAULTS or not isinstance(content, dict):
        return None
    vision = content.get("vision_config") if kind == "clip" else content
    sizes = {**_SHARED, **_DEFAULTS[kind], **content, **(vision if isinstance(vision, Mapping) else {})}
    if "projection_dim" in content:  # both sides have one more, which CLIP does not use
        sizes["projection_dim"] = content["projection_dim"]
    elif kind == "clip":
        sizes["projection_dim"] = _DEFAULTS["clip"]["projection_dim"]
    return _named(kind, sizes)


def _named(kind: str, sizes: Mapping[str, Any]) -> str:
    named = (
        f"ViT of width {sizes['hidden_size']}, {sizes['num_hidden_layers']} layers, patches of {sizes['patch_size']}"
    )
    return f"CLIP's {named} at {sizes['image_size']}, {sizes['projection_dim']} numbers" if kind == "clip" else named
