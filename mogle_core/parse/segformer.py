"""The SegFormer `jonathandinu/face-parsing`: transformers' network, built from the configuration in this file.

It never contacts a hub. A picture of any size is squashed to 512 x 512, and the logits are stretched back to it,
as the network was trained and published.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..masks.labels import CLASS_NAMES, NUM_CLASSES
from ..support.errors import WeightsError
from ..support.texts import read_json, read_text
from .parser import as_levels, likeliest

PUBLISHED = "huggingface.co/jonathandinu/face-parsing"

B5: Mapping[str, Any] = MappingProxyType(
    {
        "num_channels": 3,
        "num_encoder_blocks": 4,
        "depths": [3, 6, 40, 3],
        "sr_ratios": [8, 4, 2, 1],
        "hidden_sizes": [64, 128, 320, 512],
        "patch_sizes": [7, 3, 3, 3],
        "strides": [4, 2, 2, 2],
        "num_attention_heads": [1, 2, 5, 8],
        "mlp_ratios": [4, 4, 4, 4],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "decoder_hidden_size": 768,
    }
)
"""MiT-b5 with its decoder, as in the published config.json; dropouts only matter in training."""

PREPROCESSING: Mapping[str, Any] = MappingProxyType(
    {
        "do_resize": True,
        "size": {"height": 512, "width": 512},
        "resample": Image.Resampling.BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
)
"""As in the published preprocessor_config.json."""

IDENTITY = tuple(range(NUM_CLASSES))

# transformers 5 renamed the modules, and files keep the names of version 4. The order matters.
_RENAMED = (
    (r"\.encoder\.patch_embeddings\.(\d+)\.", r".stages.\1.patch_embeddings."),
    (r"\.encoder\.block\.(\d+)\.", r".stages.\1.blocks."),
    (r"\.encoder\.layer_norm\.(\d+)\.", r".stages.\1.layer_norm."),
    (r"\.attention\.self\.(query|key|value)\.", lambda found: f".attention.{found[1][0]}_proj."),
    (r"\.attention\.self\.sr\.", ".attention.sequence_reduction.sequence_reduction."),
    (r"\.attention\.self\.layer_norm\.", ".attention.sequence_reduction.layer_norm."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.mlp\.dense([12])\.", r".mlp.fc\1."),
    (r"\.layer_norm_1\.", ".layernorm_before."),
    (r"\.layer_norm_2\.", ".layernorm_after."),
    (r"^decode_head\.linear_c\.", "decode_head.linear_projections."),
)


class Segformer(nn.Module):
    """transformers' SegformerForSemanticSegmentation of 19 classes: (B, 3, 512, 512) -> (B, 19, 128, 128).

    A plain module holds it, because ComfyUI stores the device on every module that it manages, and transformers'
    modules do not allow that.
    """

    def __init__(self, config: Mapping[str, Any] = B5) -> None:
        super().__init__()
        library = _transformers()
        settings = library.SegformerConfig(**{**B5, **config}, num_labels=NUM_CLASSES)
        self.network: nn.Module = library.SegformerForSemanticSegmentation(settings)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=pixels).logits
        return logits


@dataclass(frozen=True)
class SegformerParser:
    """transformers' pipeline for this model as a `Parser`. Each picture of a batch is parsed separately.

    table: the CelebAMask-HQ id of each of the network's 19 labels.
    """

    module: nn.Module
    table: tuple[int, ...] = IDENTITY

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        table = torch.tensor(self.table, dtype=torch.uint8)
        return torch.stack([table[self._labels(picture).long()] for picture in as_levels(pictures)])

    def _labels(self, picture: Tensor) -> Tensor:
        """(H, W, 3) uint8 -> the network's labels (H, W)."""
        like = next(self.module.parameters())
        height, width = picture.shape[:2]
        return likeliest(self.module(preprocess(picture).to(like))[0], height, width)


def preprocess(picture: Tensor) -> Tensor:
    """A picture (H, W, 3) uint8 as the network's input, (1, 3, 512, 512) float32.

    The processor of the installed transformers does this. Up to version 4 it resizes by Pillow, from 5 on by
    torchvision; the two differ by one level in some pixels.
    """
    processor = _transformers().SegformerImageProcessor(**PREPROCESSING)
    pixels: Tensor = processor(images=Image.fromarray(picture.numpy()), return_tensors="pt")["pixel_values"]
    return pixels


def read_segformer(path: Path, tensors: Mapping[str, Tensor]) -> SegformerParser:
    """The parser in a file's tensors. A `config.json` beside a `model.safetensors` may give other sizes.

    Raises:
        WeightsError: for a configuration or tensors of anything but a face parser.
    """
    renamed = {canonical(name): tensor for name, tensor in tensors.items()}
    if not any(name.startswith("segformer.") for name in renamed):
        raise WeightsError(
            f"{_shown(path)} is not a SegFormer: its first tensor is {next(iter(tensors), 'missing')!r}. Put "
            f"config.json and model.safetensors of {PUBLISHED} there."
        )
    beside = path.parent / "config.json"
    config, table = read_config(beside) if path.name == "model.safetensors" and beside.is_file() else (B5, IDENTITY)
    module = Segformer(config)
    state = module.network.state_dict()
    names = {canonical(name): name for name in state}
    _check(path, {canonical(name): tensor.shape for name, tensor in state.items()}, renamed)
    module.network.load_state_dict(
        {names[name]: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in renamed.items()},
        assign=True,
    )
    return SegformerParser(module.requires_grad_(False).train(False), table)


def read_config(path: Path) -> tuple[Mapping[str, Any], tuple[int, ...]]:
    """Sizes and label table of a transformers config.json; missing values default to the published model's.

    The label names identify the classes, because an early revision of the published model numbered them
    differently.
    """
    try:
        config = read_json(read_text(path))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{_shown(path)} cannot be read ({error}): download it again.") from error
    if not isinstance(config, dict) or config.get("model_type") != "segformer":
        kind = config.get("model_type") if isinstance(config, dict) else type(config).__name__
        raise WeightsError(
            f"{_shown(path)} describes a model of type {kind!r}; expected 'segformer', as of {PUBLISHED}."
        )
    return {name: config[name] for name in B5 if name in config}, _table(path, config.get("id2label"))


def _table(path: Path, labels: Any) -> tuple[int, ...]:
    if labels is None:
        return IDENTITY
    names = [str(labels[number]).removesuffix(".png") for number in sorted(labels, key=int)]
    if names == [f"LABEL_{number}" for number in IDENTITY]:
        return IDENTITY
    if sorted(names) != sorted(CLASS_NAMES):
        odd = [name for name in names if name not in CLASS_NAMES]
        raise WeightsError(
            f"{_shown(path)} names {len(names)} labels ({', '.join(odd[:3]) or 'some missing'}); expected the "
            f"{NUM_CLASSES} of CelebAMask-HQ. For other parsers use their own node and Mask Decouple's label_space."
        )
    return tuple(CLASS_NAMES.index(name) for name in names)


def canonical(name: str) -> str:
    """A tensor's name in transformers 5, from its name in any version."""
    for old, new in _RENAMED:
        name = re.sub(old, new, name)
    return name


def _check(path: Path, expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> None:
    if missing := [name for name in expected if name not in tensors]:
        raise WeightsError(
            f"{_shown(path)} lacks {len(missing)} tensors of the face parser (first: {missing[0]!r}): it was cut, "
            f"or is of another size and has no config.json beside it. Download it from {PUBLISHED}."
        )
    if extra := [name for name in tensors if name not in expected]:
        raise WeightsError(
            f"{_shown(path)} has {len(extra)} tensors that the face parser has not (first: {extra[0]!r}): it is "
            "another model, or a larger one whose config.json is missing beside it."
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise WeightsError(
                f"{_shown(path)}: tensor {name!r} is {tuple(tensors[name].shape)}, expected {tuple(shape)}. The "
                f"parser must be of the size that config.json says and have {NUM_CLASSES} classes; see {PUBLISHED}."
            )


def _shown(path: Path) -> str:
    """The path with its folder, which identifies the parser: the file has the same name in every folder."""
    return f"{path.parent.name}/{path.name}"


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise WeightsError(
            "Parsing by SegFormer needs transformers and torchvision, which ComfyUI brings; without ComfyUI: "
            "pip install transformers torchvision."
        ) from error
