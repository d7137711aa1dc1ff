"""SegFormer gives the same ids as the pipeline of transformers, which ComfyUI includes, in the real architecture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

NAMES = [
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
]

# What the published config.json says.
PUBLISHED: dict[str, Any] = {
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
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "drop_path_rate": 0.1,
    "layer_norm_eps": 1e-06,
    "decoder_hidden_size": 768,
    "id2label": dict(enumerate(NAMES)),
    "label2id": {name: number for number, name in enumerate(NAMES)},
}
SMALL = {**PUBLISHED, "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 40, 64], "decoder_hidden_size": 16}

# Names as the published file has them; the numbers are of stage and block.
STORED_NAMES = {
    "segformer.encoder.patch_embeddings.3.proj.weight",
    "segformer.encoder.patch_embeddings.0.layer_norm.bias",
    "segformer.encoder.block.2.0.layer_norm_1.weight",
    "segformer.encoder.block.1.0.attention.self.query.weight",
    "segformer.encoder.block.1.0.attention.self.key.bias",
    "segformer.encoder.block.1.0.attention.self.value.weight",
    "segformer.encoder.block.0.0.attention.self.sr.weight",
    "segformer.encoder.block.0.0.attention.self.layer_norm.weight",
    "segformer.encoder.block.0.0.attention.output.dense.weight",
    "segformer.encoder.block.3.0.mlp.dense1.weight",
    "segformer.encoder.block.3.0.mlp.dwconv.dwconv.bias",
    "segformer.encoder.block.3.0.mlp.dense2.bias",
    "segformer.encoder.layer_norm.3.weight",
    "decode_head.linear_c.0.proj.weight",
    "decode_head.linear_fuse.weight",
    "decode_head.batch_norm.running_mean",
    "decode_head.classifier.bias",
}


def random_model(config: Mapping[str, Any], seed: int = 0) -> SegformerForSemanticSegmentation:
    """A model whose result varies over the image. With freshly initialised weights it would not."""
    generator = torch.Generator().manual_seed(seed)
    model = SegformerForSemanticSegmentation(SegformerConfig(**config)).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data.normal_(0, fan_in**-0.5, generator=generator)
    model.decode_head.batch_norm.running_mean.normal_(0, 0.1, generator=generator)
    return model


def pipeline(model: SegformerForSemanticSegmentation, photo: np.ndarray) -> Tensor:
    """From a photo (H, W, 3) uint8 to its ids (H, W), as transformers does it."""
    processor = SegformerImageProcessor()
    with torch.no_grad():
        outputs = model(**processor(images=Image.fromarray(photo), return_tensors="pt"))
    return processor.post_process_semantic_segmentation(outputs, target_sizes=[photo.shape[:2]])[0]


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Soft colours with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    soft = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return (soft + rng.integers(-20, 20, soft.shape)).clip(0, 255).astype(np.uint8)


def as_image(*photos: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack(photos).astype(np.float32) / 255)


@pytest.fixture(scope="module")
def folder(models_folder: Path) -> Path:
    made = models_folder / "face_parsing"
    made.mkdir(exist_ok=True)
    return made


@pytest.fixture(scope="module")
def small(folder: Path) -> SegformerForSemanticSegmentation:
    """A small model in models/face_parsing/small."""
    model = random_model(SMALL)
    model.save_pretrained(folder / "small")
    return model


@pytest.fixture
def segformer(comfy) -> Any:
    return comfy.module("mogle_core.parse.segformer")


@pytest.fixture
def read(comfy) -> Any:
    return comfy.module("mogle_core.parse.files").read_parser


@pytest.fixture
def parsed(comfy):
    """parsed(name, image) returns the node's ids, without the correction of left and right."""

    def parse(name: str, image: Tensor) -> Tensor:
        mask, _, undecided = comfy.node("MoGLEParseFace")(image=image, parser_name=name, fix_left_right=False)
        assert undecided == ""
        return comfy.module("mogle_core.masks.decouple").decode_tensor(mask).ids

    return parse


def test_the_real_architecture_gives_transformers_own_ids(folder: Path, parsed) -> None:
    model = random_model(PUBLISHED, seed=1)
    assert 84e6 < sum(parameter.numel() for parameter in model.parameters()) < 85e6
    model.save_pretrained(folder / "face-parsing")
    picture = photo(384, 640)
    expected = pipeline(model, picture)
    assert len(expected.unique()) > 4, "a constant answer proves nothing"
    assert torch.equal(parsed("face-parsing", as_image(picture))[0].long(), expected)


@pytest.mark.parametrize("size", [(512, 512), (128, 128), (700, 333), (61, 1000)])
def test_every_size_and_each_of_a_batch(size: tuple[int, int], small, parsed) -> None:
    photos = [photo(*size, seed) for seed in (1, 2)]
    expected = torch.stack([pipeline(small, picture) for picture in photos])
    assert len(expected.unique()) > 4
    assert torch.equal(parsed("small", as_image(*photos)).long(), expected)


def test_preprocessing_is_the_published_one(segformer) -> None:
    picture = photo(300, 200)
    expected = SegformerImageProcessor()(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    assert torch.equal(segformer.preprocess(torch.from_numpy(picture)), expected)


def test_the_embedded_configuration_is_the_published_one(segformer) -> None:
    assert dict(segformer.B5) == {name: PUBLISHED[name] for name in segformer.B5}
    plain = SegformerConfig()
    left_out = {name for name in PUBLISHED if name not in segformer.B5 and not name.endswith(("label", "2id"))}
    assert all(getattr(plain, name) == PUBLISHED[name] for name in left_out), "the library's defaults say the rest"


def test_files_carry_the_published_names(folder: Path, small) -> None:
    with safe_open(folder / "small/model.safetensors", "pt") as file:
        assert set(file.keys()) >= STORED_NAMES


def test_names_of_every_version_are_read(folder: Path, small, read, tmp_path: Path) -> None:
    """transformers 5 uses other module names than the file. Somebody may have saved those names."""
    (tmp_path / "config.json").write_bytes((folder / "small/config.json").read_bytes())
    save_file(dict(small.state_dict()), tmp_path / "model.safetensors")
    picture = photo(64, 64)
    for file in (tmp_path, folder / "small"):
        assert torch.equal(read(file)(as_image(picture))[0].long(), pipeline(small, picture))


def test_labels_in_another_order_are_matched_by_name(folder: Path, small, read, tmp_path: Path) -> None:
    config = json.loads((folder / "small/config.json").read_text("utf-8"))
    order = [*range(1, 19), 0]
    config["id2label"] = {str(number): f"{NAMES[order[number]]}.png" for number in range(19)}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "model.safetensors").write_bytes((folder / "small/model.safetensors").read_bytes())
    picture = photo(64, 64)
    expected = torch.tensor(order)[pipeline(small, picture)]
    assert torch.equal(read(tmp_path)(as_image(picture))[0].long(), expected)


def _without_config(weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    config.clear()


def _cut(weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    del weights["decode_head.linear_fuse.weight"]


def _larger(weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    weights["segformer.encoder.block.0.1.layer_norm_1.weight"] = torch.zeros(8)


def _other_classes(weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    weights["decode_head.classifier.weight"] = torch.zeros(150, 16, 1, 1)


def _other_labels(weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    config["id2label"] = {str(number): f"street {number}" for number in range(19)}


def _other_model(weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    config["model_type"] = "bert"


DAMAGES = {
    _without_config: r"lacks \d+ tensors.*no config.json beside it",
    _cut: r"lacks 1 tensors .*decode_head.linear_fuse.weight.*jonathandinu/face-parsing",
    _larger: r"has 1 tensors that the face parser has not .*stages.0.blocks.1.layernorm_before",
    _other_classes: r"decode_head.classifier.weight' is \(150, 16, 1, 1\), expected \(19, 16, 1, 1\)",
    _other_labels: r"names 19 labels \(street 0, street 1, street 2\); expected the 19 of CelebAMask-HQ",
    _other_model: r"describes a model of type 'bert'; expected 'segformer'",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_wrong_with_a_file_is_reported(damage, folder: Path, small, read, tmp_path: Path) -> None:
    weights = load_file(folder / "small/model.safetensors")
    config = json.loads((folder / "small/config.json").read_text("utf-8"))
    damage(weights, config)
    save_file(weights, tmp_path / "model.safetensors")
    if config:
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match=DAMAGES[damage]):
        read(tmp_path)


def test_a_truncated_configuration_is_refused(folder: Path, small, read, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((folder / "small/model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "segf', "utf-8")
    with pytest.raises(ValueError, match=r"config.json cannot be read .*download it again"):
        read(tmp_path)
