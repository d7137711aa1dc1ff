"""Files at FLUX.1-dev's real size with random weights, in the layouts that users have, written tensor by tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.mixture.network import MoGLE, to_official
from support.small_encoders import bfl_names
from support.small_weights import FluxSizes, mask_lora_weights

Shapes = Mapping[str, tuple[int, ...]]
DEV = FluxSizes(hidden=3072, axes=(16, 56, 56), double=19, single=38, context=4096, pooled=768)
FP8 = torch.float8_e4m3fn
PIECE = 1 << 24
"""Numbers that are drawn once for a width and written at shifting places: drawing 12 billion would take minutes."""
_DTYPES = {torch.float8_e4m3fn: "F8_E4M3", torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}


def write_weights(path: Path, shapes: Shapes, dtype: torch.dtype, seed: int = 0) -> Path:
    """A .safetensors of these tensors; no more than a piece of it is in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = torch.empty(0, dtype=dtype).element_size()
    header, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape) * size
        header[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    drawn = _Drawn(dtype, torch.Generator().manual_seed(seed))
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            for piece in drawn.pieces(name, shape):
                file.write(piece.contiguous().view(torch.uint8).numpy().data)
    return path


class _Drawn:
    """Normal numbers of the spread that keeps a layer's outputs as large as its inputs."""

    def __init__(self, dtype: torch.dtype, rng: torch.Generator) -> None:
        self.dtype, self.rng = dtype, rng
        self.pools: dict[float, Tensor] = {}

    def pieces(self, name: str, shape: tuple[int, ...]) -> Iterator[Tensor]:
        count, spread = math.prod(shape), _spread(name, shape)
        if len(shape) == 1:
            middle = 1.0 if name.endswith(("scale", "norm.weight", "norm1.weight", "norm2.weight")) else 0.0
            yield (middle + spread * torch.randn(shape, generator=self.rng)).to(self.dtype)
            return
        pool = self._pool(spread)
        while count > 0:
            begin = int(torch.randint(PIECE // 2, (), generator=self.rng))
            piece = pool[begin : begin + min(count, PIECE // 2)]
            count -= len(piece)
            yield piece

    def _pool(self, spread: float) -> Tensor:
        if spread not in self.pools:
            self.pools[spread] = (spread * torch.randn(PIECE, generator=self.rng)).to(self.dtype)
        return self.pools[spread]


def _spread(name: str, shape: tuple[int, ...]) -> float:
    if len(shape) == 1:
        return 0.1
    if "embedding" in name or name == "shared.weight":
        return 0.5
    if name.endswith("SelfAttention.q.weight"):  # T5 divides by no root of the head's width
        return 1 / math.sqrt(64 * shape[1])
    return 1 / math.sqrt(math.prod(shape[1:]))


def flux_shapes(params: FluxParams | None = None) -> dict[str, tuple[int, ...]]:
    """FLUX.1-dev's, under the names of its single file."""
    with torch.device("meta"):
        return _shapes(Flux(params or FluxParams()))


def clip_shapes() -> dict[str, tuple[int, ...]]:
    """clip_l.safetensors."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    with torch.device("meta"):
        found = _shapes(CLIPTextModel(config))
    return {f"text_model.{name.removeprefix('text_model.')}": shape for name, shape in found.items()}


def t5_shapes() -> dict[str, tuple[int, ...]]:
    """t5xxl_fp8_e4m3fn.safetensors and t5xxl_fp16.safetensors."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_heads=64, num_layers=24, feed_forward_proj="gated-gelu"
    )
    with torch.device("meta"):
        found = _shapes(T5EncoderModel(config))
    found.pop("encoder.embed_tokens.weight", None)
    return found


def vae_shapes() -> dict[str, tuple[int, ...]]:
    """ae.safetensors."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        model = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[128, 256, 512, 512], layers_per_block=2, latent_channels=16, use_quant_conv=False,
            use_post_quant_conv=False,
        )  # fmt: skip
        return {name: tuple(tensor.shape) for name, tensor in bfl_names(model.state_dict()).items()}


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


def write_pair(mogle: Path, lora: Path, sizes: FluxSizes = DEV) -> None:
    """Network and LoRA as the official trainer publishes them: 90 and 686 tensors."""
    torch.manual_seed(0)
    network = MoGLE()
    for path in (mogle, lora):
        path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(to_official(network.state_dict(), network.config), mogle)
    save_file({name: 0.3 * tensor for name, tensor in mask_lora_weights(sizes).items()}, lora)


def write_all(models: Path) -> dict[str, Path]:
    """Every file of a portrait with FLUX.1-dev, in the folders of a ComfyUI."""
    found = {
        "transformer": write_weights(models / "diffusion_models/flux1-dev-fp8.safetensors", flux_shapes(), FP8),
        "vae": write_weights(models / "vae/ae.safetensors", vae_shapes(), torch.float32, 1),
        "clip_l": write_weights(models / "text_encoders/clip_l.safetensors", clip_shapes(), torch.float16, 2),
        "t5xxl": write_weights(models / "text_encoders/t5xxl_fp8_e4m3fn.safetensors", t5_shapes(), FP8, 3),
        "mogle": models / "mogle/global_local_mask_moe.pt",
        "lora": models / "loras/pytorch_lora_weights.safetensors",
    }
    write_pair(found["mogle"], found["lora"])
    return found
