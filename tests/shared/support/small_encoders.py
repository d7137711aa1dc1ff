"""FLUX.1's encoders at tiny widths: files in the layouts and with the key names of users' files, and tokenizers."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

WORDS = ("a", "woman", "man", "with", "black", "hair", "smiling")


def clip_tokenizer(folder: Path) -> None:
    """A CLIP vocabulary of single letters and whole words."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def t5_tokenizer(folder: Path) -> None:
    """A tokenizer.json like T5's: unigrams after a metaspace, closed by </s>."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{word}", -1.0) for word in WORDS)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))


def tokenizers(root: Path) -> Path:
    """Both tokenizers, in the layout of ComfyUI."""
    clip_tokenizer(root / "comfy/sd1_tokenizer")
    t5_tokenizer(root / "comfy/text_encoders/t5_tokenizer")
    return root


def fill(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Random weights with the model's shapes, fixed by a seed, and large enough that each one matters."""
    rng = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(tensor.shape, generator=rng) * (0.3 if tensor.ndim > 1 else 0.1) + (tensor.ndim == 1)
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point()
    }


def t5_model() -> nn.Module:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(WORDS) + 3,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_heads=2,
        num_layers=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).eval()


def clip_model() -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=128,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_act="quick_gelu",
        bos_token_id=52,
        eos_token_id=53,
    )
    return CLIPTextModel(config).eval()


def vae_model() -> nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[32, 32, 64, 64],
        layers_per_block=2,
        latent_channels=16,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def bfl_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a diffusers VAE under the names of ae.safetensors, written out one by one."""
    found = {}
    for name, tensor in tensors.items():
        side, rest = name.split(".", 1)
        parts = rest.split(".")
        if parts[0] in ("down_blocks", "up_blocks"):
            level = parts[1] if parts[0] == "down_blocks" else str(3 - int(parts[1]))
            kind, which = parts[0].removesuffix("_blocks"), parts[2]
            inner = ["block", parts[3]] if which == "resnets" else [f"{kind}sample"]
            tail = ["nin_shortcut" if part == "conv_shortcut" else part for part in parts[4:]]
            new = [kind, level, *inner, *tail]
        elif parts[0] == "mid_block" and parts[1] == "resnets":
            new = ["mid", f"block_{int(parts[2]) + 1}", *parts[3:]]
        elif parts[0] == "mid_block":
            layer = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}[parts[3]]
            new = ["mid", "attn_1", layer, parts[-1]]
            if tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        else:
            new = [{"conv_norm_out": "norm_out"}.get(parts[0], parts[0]), *parts[1:]]
        found[".".join([side, *new])] = tensor.contiguous()
    return found


def scaled_fp8(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Linears in the form of ComfyUI's scaled fp8 files, and the weights that they stand for."""
    stored, worth = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}, {}
    for name, tensor in tensors.items():
        stored[name] = worth[name] = tensor
        if tensor.ndim == 2 and "block" in name and "relative" not in name:
            scale = tensor.abs().max() / 448
            stored[name] = (tensor / scale).to(torch.float8_e4m3fn)
            stored[name.removesuffix("weight") + "scale_weight"] = scale.reshape(1)
            worth[name] = stored[name].float() * scale
    return stored, worth


def save(path: Path, tensors: dict[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path
