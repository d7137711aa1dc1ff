"""Random weights of small models, named as in files: FLUX.1, an ordinary LoRA for it, a TAESD.

They are made from shapes and a seed, without ComfyUI. The variance of activations stays the same from layer to
layer, so an output depends on every input and every weight, and shows a mistake anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mogle_core.model.stream.layer_names import MASK_STREAM_LAYERS, layer_of, to_diffusers

Weights = dict[str, Tensor]
TIME_WIDTH, PACKED_CHANNELS, LATENT_CHANNELS = 256, 64, 16


@dataclass(frozen=True)
class FluxSizes:
    """The sizes that FLUX.1's files do not fix. `axes` (how the rope divides a head's width) is not in a file."""

    hidden: int = 64
    axes: tuple[int, int, int] = (4, 6, 6)
    double: int = 2
    single: int = 3
    context: int = 32
    pooled: int = 24
    guidance: bool = True

    @property
    def head(self) -> int:
        return sum(self.axes)

    @property
    def heads(self) -> int:
        return self.hidden // self.head


TINY = FluxSizes()  # the sizes of the golden model
STOCK = FluxSizes(hidden=256, axes=(16, 56, 56), double=1, single=2)  # what a stock UNETLoader takes


def _blocks_in(weights: Mapping[str, Tensor], kind: str) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith(f"{kind}_blocks.")})


def sizes_of(weights: Mapping[str, Tensor]) -> FluxSizes:
    """The sizes of FLUX weights. The axes are FLUX.1's for heads of 128, otherwise TINY's."""
    head = weights["double_blocks.0.img_attn.norm.key_norm.scale"].shape[0]
    return FluxSizes(
        hidden=weights["img_in.weight"].shape[0],
        axes=next(sizes.axes for sizes in (TINY, STOCK) if sizes.head == head),
        double=_blocks_in(weights, "double"),
        single=_blocks_in(weights, "single"),
        context=weights["txt_in.weight"].shape[1],
        pooled=weights["vector_in.in_layer.weight"].shape[1],
        guidance="guidance_in.in_layer.weight" in weights,
    )


def linears(sizes: FluxSizes) -> dict[str, tuple[int, int]]:
    """Every Linear of a FLUX.1 by its name in the file: (outputs, inputs)."""
    wide, mlp = sizes.hidden, 4 * sizes.hidden
    named = {"img_in": (wide, PACKED_CHANNELS), "txt_in": (wide, sizes.context)}
    vectors = {"time_in": TIME_WIDTH, "vector_in": sizes.pooled}
    if sizes.guidance:
        vectors["guidance_in"] = TIME_WIDTH
    for name, inputs in vectors.items():
        named |= {f"{name}.in_layer": (wide, inputs), f"{name}.out_layer": (wide, wide)}
    for i in range(sizes.double):
        for side in ("img", "txt"):
            at = f"double_blocks.{i}.{side}"
            named |= {f"{at}_mod.lin": (6 * wide, wide), f"{at}_attn.qkv": (3 * wide, wide)}
            named |= {f"{at}_attn.proj": (wide, wide), f"{at}_mlp.0": (mlp, wide), f"{at}_mlp.2": (wide, mlp)}
    for i in range(sizes.single):
        at = f"single_blocks.{i}"
        named |= {f"{at}.modulation.lin": (3 * wide, wide), f"{at}.linear1": (3 * wide + mlp, wide)}
        named |= {f"{at}.linear2": (wide, wide + mlp)}
    last = {"final_layer.linear": (PACKED_CHANNELS, wide), "final_layer.adaLN_modulation.1": (2 * wide, wide)}
    return named | last


def _norms(sizes: FluxSizes) -> Iterator[str]:
    for i in range(sizes.double):
        yield from (f"double_blocks.{i}.{side}_attn.norm" for side in ("img", "txt"))
    yield from (f"single_blocks.{i}.norm" for i in range(sizes.single))


def flux_weights(sizes: FluxSizes = TINY, seed: int = 0) -> Weights:
    """Random FLUX.1 weights in float32, in the single-file naming."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    weights: Weights = {}
    for name, (outputs, inputs) in linears(sizes).items():
        weights[f"{name}.weight"] = normal(outputs, inputs) / math.sqrt(inputs)
        weights[f"{name}.bias"] = 0.2 * normal(outputs)
    for name in _norms(sizes):
        for kind in ("query_norm", "key_norm"):
            weights[f"{name}.{kind}.scale"] = 1 + 0.2 * normal(sizes.head)
    return weights


def write_stock_flux(path: Path, seed: int = 0, sizes: FluxSizes = STOCK) -> Path:
    """A FLUX.1 file for models/diffusion_models that the stock UNETLoader of 0.33 takes (heads of 128)."""
    if sizes.axes != STOCK.axes:
        raise ValueError(f"A stock loader supposes rope axes {STOCK.axes}, not {sizes.axes}.")
    return _write(path, flux_weights(sizes, seed))


def lora_weights(sizes: FluxSizes = TINY, seed: int = 0, rank: int = 2, naming: str = "diffusers") -> Weights:
    """An ordinary LoRA on attention layers, with names that ComfyUI's LoRA loader knows.

    naming: "diffusers" (separate q, k, v), "bfl" (the names of the file) or "kohya" (with an alpha of `rank`).
    """
    generator = torch.Generator().manual_seed(seed)
    down, up = ("lora_down", "lora_up") if naming == "kohya" else ("lora_A", "lora_B")
    weights: Weights = {}
    for name, (outputs, inputs) in _lora_targets(sizes, naming):
        weights[f"{name}.{down}.weight"] = torch.randn(rank, inputs, generator=generator) / math.sqrt(inputs)
        weights[f"{name}.{up}.weight"] = torch.randn(outputs, rank, generator=generator) / math.sqrt(rank)
        if naming == "kohya":
            weights[f"{name}.alpha"] = torch.tensor(float(rank))
    return weights


def _lora_targets(sizes: FluxSizes, naming: str) -> Iterator[tuple[str, tuple[int, int]]]:
    square = (sizes.hidden, sizes.hidden)
    if naming == "diffusers":
        for layer in ("to_q", "to_k", "to_v", "to_out.0"):
            yield f"transformer.transformer_blocks.0.attn.{layer}", square
        yield "transformer.single_transformer_blocks.0.attn.to_q", square
        return
    targets = ("double_blocks.0.img_attn.qkv", "double_blocks.0.img_attn.proj", "single_blocks.0.linear1")
    for name in targets:
        spelled = f"diffusion_model.{name}" if naming == "bfl" else f"lora_unet_{name.replace('.', '_')}"
        yield spelled, linears(sizes)[name]


def mask_lora_weights(sizes: FluxSizes = TINY, seed: int = 0, rank: int = 4) -> Weights:
    """A LoRA of the mask stream as the official trainer writes it: diffusers' names, no alpha."""
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for name, (outputs, inputs) in linears(sizes).items():
        modules = to_diffusers(name) or ()
        if layer_of(name) not in MASK_STREAM_LAYERS or layer_of(name) == "img_mlp.0":
            continue
        for module, part in zip(modules, _rows(len(modules), outputs, inputs), strict=True):
            matrices = {"A": (rank, inputs), "B": (part, rank)}
            for letter, shape in matrices.items():
                tensor = torch.randn(shape, generator=generator) / math.sqrt(shape[1])
                weights[f"transformer.{module}.lora_{letter}.weight"] = tensor
    return weights


def as_diffusers(weights: Mapping[str, Tensor]) -> Weights:
    """A transformer under diffusers' names: fused rows are separate, and the final layer has scale before shift."""
    found = {}
    for name, tensor in weights.items():
        layer, _, kind = name.rpartition(".")
        modules = to_diffusers(layer) or ()
        if layer == "final_layer.adaLN_modulation.1":
            tensor = torch.cat(tensor.chunk(2)[::-1])
        inputs = weights[f"{layer}.weight"].shape[1] if len(modules) > 1 else 0
        rows = tensor.split(_rows(len(modules), len(tensor), inputs))
        for module, part in zip(modules, rows, strict=True):
            found[f"{module}.{'weight' if kind == 'scale' else kind}"] = part
    return found


def _rows(parts: int, outputs: int, inputs: int) -> list[int]:
    """The rows of a fused layer: q, k and v are as wide as their input, the rest is the MLP."""
    return [inputs] * (parts - 1) + [outputs - inputs * (parts - 1)]


# TAESD as two sequences: where its blocks, its plain convolutions (in, out, bias) are.
_ENCODER_BLOCKS, _DECODER_BLOCKS = (1, 3, 4, 5, 7, 8, 9, 11, 12, 13), (3, 4, 5, 8, 9, 10, 13, 14, 15, 18)
_ENCODER_LAYERS = {0: (3, 64, True), 2: (64, 64, False), 6: (64, 64, False), 10: (64, 64, False)}
_DECODER_LAYERS = {7: (64, 64, False), 12: (64, 64, False), 17: (64, 64, False), 19: (64, 3, True)}


def taesd_weights(seed: int = 0, latent_channels: int = LATENT_CHANNELS) -> Weights:
    """Random weights of a TAESD. With 16 latent channels it is FLUX's, with its latent scale and shift."""
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = {"vae_scale": torch.tensor(0.3611), "vae_shift": torch.tensor(0.1159)}
    encoder = _ENCODER_LAYERS | {14: (64, latent_channels, True)}
    decoder = _DECODER_LAYERS | {1: (latent_channels, 64, True)}
    halves = (("encoder", encoder, _ENCODER_BLOCKS), ("decoder", decoder, _DECODER_BLOCKS))
    for half, layers, blocks in halves:
        named = {f"taesd_{half}.{i}": layer for i, layer in layers.items()}
        for i in blocks:
            named |= {f"taesd_{half}.{i}.conv.{j}": (64, 64, True) for j in (0, 2, 4)}
        for name, (inputs, outputs, bias) in named.items():
            weights |= _convolution(name, inputs, outputs, bias, generator)
    weights["taesd_decoder.19.bias"] += 0.5  # mid grey: a TAESD decodes to 0..1
    return weights


def _convolution(name: str, inputs: int, outputs: int, bias: bool, generator: torch.Generator) -> Weights:
    # A block adds to what it is given; its last layer is small, so that ten of them do not overflow.
    gain = 0.3 if name.endswith("conv.4") else 1.0
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * gain * math.sqrt(2 / (9 * inputs))
    return {f"{name}.weight": weight} | ({f"{name}.bias": torch.zeros(outputs)} if bias else {})


def write_taesd(path: Path, seed: int = 0, latent_channels: int = LATENT_CHANNELS) -> Path:
    """A VAE file for models/vae that the stock VAELoader reads. 4 channels make a VAE of the wrong family."""
    return _write(path, taesd_weights(seed, latent_channels))


def _write(path: Path, weights: Weights) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    return path
