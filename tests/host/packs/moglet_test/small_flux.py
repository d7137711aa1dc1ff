"""Lets the stock UNETLoader of an older ComfyUI load a small FLUX file.

Older hosts treat hidden width, heads and text width as constants. Newer ones read them from the file if the
rope axes are 16, 56, 56, which means a head width of 128. Hosts that read them themselves are not changed.
"""

from __future__ import annotations

import functools
from typing import Any

import comfy.model_detection
import torch

IMG_IN, TXT_IN = "img_in.weight", "txt_in.weight"
HEAD_WIDTH = 128


def host_reads_sizes() -> bool:
    """Asks the host for the configuration of a FLUX with two heads."""
    shapes = {
        IMG_IN: (2 * HEAD_WIDTH, 64),
        TXT_IN: (2 * HEAD_WIDTH, 48),
        "vector_in.in_layer.weight": (2 * HEAD_WIDTH, 24),
        "double_blocks.0.img_attn.norm.key_norm.scale": (HEAD_WIDTH,),
    }
    outline = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    sizes = comfy.model_detection.detect_unet_config(outline, "")
    return (sizes["hidden_size"], sizes["num_heads"], sizes["context_in_dim"]) == (2 * HEAD_WIDTH, 2, 48)


def read_sizes() -> None:
    """Replaces the host's detection with one that corrects the three sizes of a FLUX.1."""
    detect = comfy.model_detection.detect_unet_config

    @functools.wraps(detect)
    def detect_with_sizes(state_dict: dict[str, Any], key_prefix: str, *more: Any, **named: Any) -> Any:
        config = detect(state_dict, key_prefix, *more, **named)
        if config is not None and config.get("image_model") == "flux":
            hidden = state_dict[key_prefix + IMG_IN].shape[0]
            context = state_dict[key_prefix + TXT_IN].shape[1]
            config |= {"hidden_size": hidden, "num_heads": hidden // HEAD_WIDTH, "context_in_dim": context}
        return config

    comfy.model_detection.detect_unet_config = detect_with_sizes
