"""The equations of the blocks, written out stream by stream, and a scene to compare them with our blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mogle_core.model.flux.attention import attend
from mogle_core.model.flux.files import load, read_params
from mogle_core.model.flux.model import Flux
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.blocks import double_block, single_block
from mogle_core.model.stream.lora import LowRank
from mogle_core.model.stream.mask_stream import MaskInputs, MaskStream
from mogle_core.model.stream.mask_tokens import mask_modulations, mask_positions
from support.small_weights import TINY, flux_weights

BATCH, TEXT, ROWS, COLUMNS = 2, 3, 2, 3
IMAGE = MASK = ROWS * COLUMNS
WEIGHTS = flux_weights(TINY)
HIDDEN, HEADS, DEPTH = TINY.hidden, TINY.heads, TINY.double
DOUBLE, SINGLE = "double_blocks.1", "single_blocks.0"
OPTIONS = {
    "plain": StreamOptions(),
    "separate": StreamOptions(union_attention=False),
    "independent": StreamOptions(independent_condition=True),
    "added": StreamOptions(add_condition_attention=True),
    "latent lora": StreamOptions(latent_lora=True),
    "weak": StreamOptions(strength=0.3),
    "strong and independent": StreamOptions(strength=1.7, independent_condition=True),
}


def flux(dtype: torch.dtype | None = None) -> Flux:
    """The small transformer with random weights."""
    shapes = {name: tuple(tensor.shape) for name, tensor in WEIGHTS.items()}
    return load(WEIGHTS.items(), read_params(shapes, TINY.axes), dtype)


def random_lora() -> dict[str, LowRank]:
    """A LoRA on every layer that mask tokens pass; on `qkv` only for the rows of q and k."""
    generator = torch.Generator().manual_seed(5)
    lora = {}
    for name, weight in WEIGHTS.items():
        layer = name.removesuffix(".weight")
        if weight.ndim == 2 and layer.startswith(("img_in", "double_blocks", "single_blocks")) and "txt" not in layer:
            rows = 2 * HIDDEN if layer.endswith("qkv") else weight.shape[0]
            down = torch.randn(3, weight.shape[1], generator=generator) / math.sqrt(weight.shape[1])
            lora[layer] = LowRank(down, torch.randn(rows, 3, generator=generator))
    return lora


@dataclass
class Scene:
    """The inputs of one forward pass. `own`, the mask's modulation vector, differs from the image's."""

    img: Tensor = field(default_factory=lambda: noise(1, IMAGE))
    txt: Tensor = field(default_factory=lambda: noise(2, TEXT))
    tokens: Tensor = field(default_factory=lambda: noise(3, MASK))
    vec: Tensor = field(default_factory=lambda: noise(4, 1)[:, 0])
    own: Tensor = field(default_factory=lambda: noise(5, 1)[:, 0])
    lora: Mapping[str, LowRank] = field(default_factory=random_lora)
    options: StreamOptions = field(default_factory=StreamOptions)

    def rotary(self, model: Flux) -> Tensor:
        image = mask_positions(ROWS, COLUMNS)
        return model.rotary(torch.cat((torch.zeros(1, TEXT, 3), image), dim=1))

    def stream(self, model: Flux, text: int = 0, **changes: object) -> MaskStream:
        rotary = model.rotary(mask_positions(ROWS, COLUMNS))
        modulations = mask_modulations(model, self.own, self.lora)
        given = MaskInputs(modulations, rotary, self.lora, self.options, **changes)
        return MaskStream(self.tokens.clone(), given, text)


def noise(seed: int, tokens: int) -> Tensor:
    return torch.randn(BATCH, tokens, HIDDEN, generator=torch.Generator().manual_seed(seed))


# --- The equations, one stream after the other, in no hurry.


@dataclass
class Stream:
    x: Tensor
    side: str
    vec: Tensor
    angles: Tensor
    lora: Mapping[str, LowRank]

    def linear(self, layer: str, x: Tensor) -> Tensor:
        weight = WEIGHTS[f"{layer}.weight"].clone()
        if layer in self.lora:
            change = self.lora[layer].up @ self.lora[layer].down
            weight[: change.shape[0]] += change
        return x @ weight.T + WEIGHTS[f"{layer}.bias"]

    def modulation(self, layer: str, count: int) -> tuple[Tensor, ...]:
        return self.linear(layer, self.vec * self.vec.sigmoid())[:, None].chunk(count, -1)

    def heads(self, qkv: Tensor, norm: str) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
        return self.turned(rms(q, f"{norm}.query_norm")), self.turned(rms(k, f"{norm}.key_norm")), v

    def turned(self, x: Tensor) -> Tensor:
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(self.angles), self.angles)).flatten(-2)


def rms(x: Tensor, layer: str) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * WEIGHTS[f"{layer}.scale"]


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()


def gelu(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def angles(ids: Tensor) -> Tensor:
    """Position ids (S, 3) -> (S, D/2)."""
    return torch.cat(
        [ids[:, i, None] * 10_000.0 ** -(torch.arange(0, dim, 2) / dim) for i, dim in enumerate(TINY.axes)], -1
    )


def streams(scene: Scene, with_mask: bool) -> list[Stream]:
    image = torch.tensor([[0.0, row, column] for row in range(ROWS) for column in range(COLUMNS)])
    latent = scene.lora if scene.options.latent_lora else {}
    found = [
        Stream(scene.txt, "txt", scene.vec, angles(torch.zeros(TEXT, 3)), {}),
        Stream(scene.img, "img", scene.vec, angles(image), latent),
        Stream(scene.tokens, "img", scene.own, angles(image), scene.lora),
    ]
    return found if with_mask else found[:2]


def attention(qkv: list[tuple[Tensor, Tensor, Tensor]], options: StreamOptions) -> list[Tensor]:
    q, k, v = (torch.cat(part, 2) for part in zip(*qkv, strict=True))
    logits = q @ k.mT / math.sqrt(q.shape[-1])
    for query, key in ((False, True), (True, False)):  # which of both is a mask token
        of_query = slice(TEXT + IMAGE, None) if query else slice(0, TEXT + IMAGE)
        of_key = slice(TEXT + IMAGE, None) if key else slice(0, TEXT + IMAGE)
        logits[..., of_query, of_key] += math.log(options.strength)
        if not options.union_attention or (options.independent_condition and query):
            logits[..., of_query, of_key] = -math.inf
    out = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return list(out.split([part[0].shape[2] for part in qkv], 1))


def written_out_double(scene: Scene, with_mask: bool = True) -> list[Tensor]:
    """Text, image and mask tokens after one double block."""
    parts = streams(scene, with_mask)
    mods = [s.modulation(f"{DOUBLE}.{s.side}_mod.lin", 6) for s in parts]
    qkv = []
    for s, m in zip(parts, mods, strict=True):
        projected = s.linear(f"{DOUBLE}.{s.side}_attn.qkv", normed(s.x) * (1 + m[1]) + m[0])
        qkv.append(s.heads(projected, f"{DOUBLE}.{s.side}_attn.norm"))
    seen = attention(qkv, scene.options)
    updates = [s.linear(f"{DOUBLE}.{s.side}_attn.proj", a) * m[2] for s, m, a in zip(parts, mods, seen, strict=True)]
    if scene.options.add_condition_attention and with_mask:
        updates[1] = updates[1] + updates[2]
    results = []
    for s, m, update in zip(parts, mods, updates, strict=True):
        x = s.x + update
        hidden = gelu(s.linear(f"{DOUBLE}.{s.side}_mlp.0", normed(x) * (1 + m[4]) + m[3]))
        results.append(x + s.linear(f"{DOUBLE}.{s.side}_mlp.2", hidden) * m[5])
    return results


def written_out_single(scene: Scene, with_mask: bool = True) -> list[Tensor]:
    """Text, image and mask tokens after one single block."""
    parts = streams(scene, with_mask)
    parts[0].lora = parts[1].lora  # a single block cannot tell text from image
    mods = [s.modulation(f"{SINGLE}.modulation.lin", 3) for s in parts]
    fused = [s.linear(f"{SINGLE}.linear1", normed(s.x) * (1 + m[1]) + m[0]) for s, m in zip(parts, mods, strict=True)]
    qkv = [s.heads(f[..., : 3 * HIDDEN], f"{SINGLE}.norm") for s, f in zip(parts, fused, strict=True)]
    results = []
    for s, m, f, a in zip(parts, mods, fused, attention(qkv, scene.options), strict=True):
        joined = torch.cat((a, gelu(f[..., 3 * HIDDEN :])), -1)
        results.append(s.x + s.linear(f"{SINGLE}.linear2", joined) * m[2])
    return results


def close(ours: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


# --- Ours.


def run_double(
    model: Flux, scene: Scene, mask: MaskStream | None, attention: Callable[..., Tensor] = attend, **given: Tensor
) -> tuple[Tensor, Tensor]:
    block = model.get_submodule(DOUBLE)
    return double_block(
        block, DOUBLE, scene.img, scene.txt, scene.vec, scene.rotary(model), attention, mask=mask, **given
    )


def run_single(
    model: Flux, scene: Scene, mask: MaskStream | None, attention: Callable[..., Tensor] = attend, **given: object
) -> Tensor:
    x = torch.cat((scene.txt, scene.img), 1)
    block = model.get_submodule(SINGLE)
    return single_block(block, SINGLE, x, scene.vec, scene.rotary(model), attention, mask=mask, **given)


def run_all(model: Flux, scene: Scene, mask: MaskStream | None) -> Tensor:
    """Every block, called as a host calls them."""
    img, txt, rotary = scene.img, scene.txt, scene.rotary(model)
    for i, block in enumerate(model.double_blocks):
        img, txt = double_block(block, f"double_blocks.{i}", img, txt, scene.vec, rotary, attend, mask=mask)
    x = torch.cat((txt, img), 1)
    for i, block in enumerate(model.single_blocks):
        x = single_block(block, f"single_blocks.{i}", x, scene.vec, rotary, attend, mask=mask, last=block.last)
    return x
