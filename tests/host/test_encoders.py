"""The headless encoders against ComfyUI's, from files with the same tensors."""

from __future__ import annotations

from pathlib import Path

import comfy.clip_model
import comfy.ops
import comfy.sd
import comfy.text_encoders.t5
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.model import Decoder, Encoder
from comfy.text_encoders.flux import FluxTokenizer
from safetensors.torch import save_file
from support.in_process import Comfy
from torch import Tensor, nn

PROMPTS = ["A woman with long black hair, smiling.", "", "An old man in front of a green background."]


def filled(modules: dict[str, nn.Module], seed: int) -> dict[str, Tensor]:
    """Random weights under the names that ComfyUI gives these modules."""
    rng, tensors = torch.Generator().manual_seed(seed), {}
    for prefix, module in modules.items():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            fan = tensor[0].numel() if tensor.ndim > 1 else 100.0
            value = torch.randn(tensor.shape, generator=rng) / fan**0.5
            tensors[prefix + name] = value + 1 if tensor.ndim == 1 and "norm" in name else value
    return tensors


def test_the_vaes_mean_is_comfyuis(comfy: Comfy, tmp_path: Path) -> None:
    settings = {"double_z": True, "z_channels": 16, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128}
    settings |= {"ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0}
    tensors = filled({"encoder.": Encoder(**settings), "decoder.": Decoder(**settings)}, 0)
    save_file(tensors, tmp_path / "ae.safetensors")
    pictures = torch.rand(1, 32, 48, 3, generator=torch.Generator().manual_seed(1))
    theirs = comfy_vae(tensors).encode(pictures)
    ours = comfy.module("mogle_core.model.encoders").open_vae(str(tmp_path / "ae.safetensors"))
    torch.testing.assert_close(ours.encode(pictures).mean, (theirs - 0.1159) * 0.3611, rtol=1e-3, atol=1e-3)


def comfy_vae(tensors: dict[str, Tensor]) -> object:
    return comfy.sd.VAE(sd={name: tensor.clone() for name, tensor in tensors.items()}, dtype=torch.float32)


@pytest.fixture(scope="module")
def text_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, nn.Module, nn.Module]:
    """CLIP-L and T5 with real vocabularies and tiny widths, in files and in ComfyUI's classes."""
    folder = tmp_path_factory.mktemp("text")
    clip_settings = {"num_hidden_layers": 2, "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 96}
    clip_settings |= {"hidden_act": "quick_gelu", "eos_token_id": 49407, "max_position_embeddings": 77}
    t5_settings = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_heads": 4, "num_layers": 2, "vocab_size": 32128}
    t5_settings |= {"dense_act_fn": "gelu_pytorch_tanh", "is_gated_act": True, "model_type": "t5"}
    t5_settings |= {"relative_attention_num_buckets": 32}
    ops = comfy.ops.disable_weight_init
    clip = comfy.clip_model.CLIPTextModel(clip_settings, torch.float32, "cpu", ops)
    t5 = comfy.text_encoders.t5.T5(t5_settings, torch.float32, "cpu", ops)
    for name, model, seed in (("clip_l", clip, 1), ("t5xxl", t5, 2)):
        tensors = filled({"": model}, seed)
        model.load_state_dict(tensors, strict=False)
        save_file(tensors, folder / f"{name}.safetensors")
    return folder / "clip_l.safetensors", folder / "t5xxl.safetensors", clip, t5


@torch.no_grad()
def test_texts_are_comfyuis(comfy: Comfy, text_files: tuple[Path, Path, nn.Module, nn.Module]) -> None:
    clip_path, t5_path, clip, t5 = text_files
    encoders = comfy.module("mogle_core.model.encoders")
    text = encoders.open_text(str(clip_path), str(t5_path), comfy.host.path, 256, dtype=torch.float32)
    context, pooled = text.encode(PROMPTS)
    for number, prompt in enumerate(PROMPTS):
        found = FluxTokenizer().tokenize_with_weights(prompt)
        words, pieces = (torch.tensor([[token for token, _ in found[name][0]]]) for name in ("l", "t5xxl"))
        assert pieces.shape == (1, 256)  # ComfyUI's shortest
        # The fourth is the pooled text without a projection, as FLUX takes it.
        torch.testing.assert_close(pooled[number], clip(words)[3][0], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(context[number], t5(pieces, None)[0][0], rtol=1e-3, atol=1e-4)
