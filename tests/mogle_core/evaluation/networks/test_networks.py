"""Readers for the published networks, on tiny networks of the same layout: preprocessing, batches and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

from mogle_core.evaluation.metrics.structure import structure_distances
from mogle_core.evaluation.networks import clip, dino, inception
from mogle_core.evaluation.networks.extractors import load_extractor
from mogle_core.evaluation.networks.image_reward import load_image_reward

PICTURES = torch.randint(0, 255, (3, 3, 48, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Layers(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.mean(dim=(2, 3), keepdim=True)


class Network(nn.Module):
    """Like NVIDIA's file: the network in `layers`, behind its built-in resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)


def test_the_clean_protocol(tmp_path: Path) -> None:
    """Images are resized as floats per channel and scaled to -1..1: every feature of a grey image is its level."""
    torch.jit.script(Network()).save(str(tmp_path / "inception.pt"))
    network = inception.load_inception(tmp_path / "inception.pt")
    assert isinstance(network, inception.CleanInception)
    grey = torch.full((2, 3, 40, 40), 160, dtype=torch.uint8)
    torch.testing.assert_close(network(grey), torch.full((2, 3), 32 / 128))
    resized = inception.resize_clean(PICTURES[0], 24)
    whole = Image.fromarray(PICTURES[0].movedim(0, -1).numpy()).resize((24, 24), Image.Resampling.BICUBIC)
    rounded = resized.round().clamp(0, 255).movedim(0, -1).numpy()
    assert np.abs(rounded - np.array(whole, dtype=np.float32)).max() <= 1, "Pillow's filter, without its rounding"
    assert (resized != resized.round()).any()


def test_another_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(Layers()).save(str(tmp_path / "other.pt"))
    with pytest.raises(ValueError, match="not the Inception network"):
        inception.load_inception(tmp_path / "other.pt")


def test_weights_for_torch_fidelity_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, tmp_path / "weights.pth")
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ValueError, match=r"pip install torch-fidelity .* or use NVIDIA's"):
        inception.load_inception(tmp_path / "weights.pth")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    side = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**side, "image_size": 32, "patch_size": 8}
    text = {**side, "vocab_size": 60, "max_position_embeddings": 77, "bos_token_id": 58, "eos_token_id": 59}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    numbers = {word: number for number, word in enumerate(words[:52])} | {"<|startoftext|>": 58, "<|endoftext|>": 59}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def test_clip_reads_pictures_and_captions(clip_folder: Path) -> None:
    network = clip.load_clip(clip_folder)
    assert network.side == 32
    with torch.no_grad():
        pictures, texts = network(PICTURES), network.texts(["a face", "another face " * 40])
        torch.testing.assert_close(network(PICTURES[1:2]), pictures[1:2], atol=1e-5, rtol=0)
    assert pictures.shape == (3, 8)
    assert texts.shape == (2, 8)
    assert not torch.allclose(texts[0], texts[1])


def test_clips_preprocessing_is_its_own(clip_folder: Path) -> None:
    grey = torch.full((3, 40, 60), 255, dtype=torch.uint8)
    expected = (1 - torch.tensor(clip.MEAN)) / torch.tensor(clip.DEVIATION)
    found = clip.preprocess(grey, 32)
    torch.testing.assert_close(found, expected.view(3, 1, 1).expand(3, 32, 32), atol=1e-5, rtol=0)
    wide = torch.zeros(3, 32, 96, dtype=torch.uint8)
    wide[..., 32:64] = 255
    assert (clip.preprocess(wide, 32)[0] > 1.5).all(), "the middle is kept"


@pytest.fixture(scope="module")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ViTModel(ViTConfig(**sizes, image_size=16, patch_size=8), add_pooling_layer=False).save_pretrained(folder)
    return folder


def test_dinos_keys_are_those_of_the_last_layer(dino_folder: Path) -> None:
    network = dino.load_dino(dino_folder)
    with torch.no_grad():
        keys = network(PICTURES)
        assert keys.shape == (3, 1 + 36, 16), "the class token, and 6 x 6 patches of 48 pixels"
        torch.testing.assert_close(network(PICTURES[2:]), keys[2:], atol=1e-5, rtol=0)
        states = network.network(
            pixel_values=PICTURES.float() / 255, interpolate_pos_encoding=True, output_hidden_states=True
        ).hidden_states
        layer = [module for name, module in network.network.named_modules() if name.endswith("layernorm_before")][-1]
        projection = dino._last_key(network.network)
        torch.testing.assert_close(keys, F.linear(layer(states[-2]), projection.weight, projection.bias))
    assert structure_distances(keys, keys).tolist() == [0, 0, 0]


def test_splices_preprocessing(dino_folder: Path) -> None:
    pixels = dino.preprocess(torch.ones(1, 3, 48, 96), "splice")
    assert pixels.shape == (1, 3, 224, 448)
    expected = (1 - torch.tensor(dino.MEAN)) / torch.tensor(dino.DEVIATION)
    torch.testing.assert_close(pixels[0, :, 0, 0], expected)
    assert torch.equal(dino.preprocess(PICTURES.float(), "official"), PICTURES.float())


def test_a_folders_checksum_is_of_names_and_contents(dino_folder: Path, clip_folder: Path) -> None:
    first = load_extractor("dino", str(dino_folder))
    assert first.sha256 is not None
    assert first.architecture == "ViT of width 16, 2 layers, patches of 8"
    assert load_extractor("clip", str(clip_folder)).architecture == (
        "CLIP's ViT of width 16, 1 layers, patches of 8 at 32, 8 numbers"
    )
    assert first.sha256 == load_extractor("dino", str(dino_folder)).sha256
    assert load_extractor("clip", str(clip_folder)).sha256 != first.sha256
    with pytest.raises(ValueError, match="expected 'clip'"):
        load_extractor("clip", str(dino_folder))
    with pytest.raises(ValueError, match="not a folder of DINO's ViT"):
        load_extractor("dino", str(clip_folder))


def test_image_reward_is_asked_for_each_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a package of the same interface."""

    class Package:
        def load(self, name: str, device: str, med_config: str) -> Package:
            assert Path(name).name == "ImageReward.pt"
            assert Path(med_config).is_file()
            return self

        def score(self, prompt: str, picture: Image.Image) -> float:
            return len(prompt) + picture.getpixel((0, 0))[0] / 1000

    for name in ("ImageReward.pt", "med_config.json"):
        (tmp_path / name).touch()
    monkeypatch.setattr("mogle_core.evaluation.networks.image_reward._package", Package)
    rewards = load_image_reward(tmp_path / "ImageReward.pt")(PICTURES[:2], ["a", "abc"])
    levels = PICTURES[:2, 0, 0, 0].float() / 1000
    torch.testing.assert_close(rewards, torch.tensor([1.0, 3.0]) + levels)
