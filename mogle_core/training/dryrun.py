"""The memory and disk space of a run, computed from shapes alone: no weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..dataset import DatasetError
from ..model.encoders.registry import named_models
from ..model.flux.model import Flux
from ..model.flux.offload import spread, travelling
from ..model.flux.params import FluxParams
from ..model.flux_latents import TOKEN_PIXELS, TOKEN_WIDTH
from ..model.mixture.network import MoGLE
from ..model.stream.condition import MaskCondition
from ..model.stream.lora import LowRank, MaskLoRA
from ..model.stream.transformer import blocks_of
from ..support.sentences import counted
from .config.reading import TrainingConfig
from .data.draws import generator
from .start import fresh_lora, fresh_network, with_extra

_BYTES = {"float32": 4.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "nf4": 0.5625}  # nf4: with a scale for each 64
_STATES = {"prodigy": 16, "adamw": 8, "adamw8bit": 2}  # bytes of state to each trained number
GIB = 2**30


@dataclass(frozen=True)
class Needs:
    """Bytes on the device, by purpose, and in the host's memory. They are computed, not measured."""

    base: float
    trainables: float
    activations: float
    host: float

    @property
    def device(self) -> float:
        return self.base + self.trainables + self.activations


@dataclass(frozen=True)
class Sizes:
    """A process's part of a step: samples at once, picture tokens (and as many mask tokens), and text tokens."""

    samples: int
    grid: tuple[int, int]
    text: int

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1]


def params_of(config: TrainingConfig) -> FluxParams:
    """The sizes of the transformer. Any path counts as FLUX.1-dev, whose file need not exist."""
    models = named_models(config.model.transformer)
    return FluxParams() if models is None else models.params


def sizes_of(config: TrainingConfig, processes: int = 1) -> Sizes:
    side = max(config.data.resolution) // TOKEN_PIXELS
    samples = -(-config.loop.batch // (processes * config.loop.accumulate))
    models = named_models(config.model.transformer)
    return Sizes(samples, (side, side), config.model.t5_tokens if models is None else models.text_tokens)


def trained(config: TrainingConfig, flux: Flux) -> tuple[MoGLE, MaskLoRA]:
    """Network and LoRA at the start of the run."""
    lora = config.lora
    pairs = fresh_lora(flux, lora.rank, generator(config.loop.seed, "lora", 0), lora.alpha, lora.targets)
    network = fresh_network(config.model.network.config(), config.loop.seed)
    return with_extra(network, config.conditions.kinds, config.loop.seed), pairs


def needs(config: TrainingConfig, processes: int = 1) -> Needs:
    """The memory of one process."""
    params = params_of(config)
    with torch.device("meta"):
        flux = Flux(params).to(torch.bfloat16)
    network, lora = trained(config, flux)
    count = sum(p.numel() for part in (network, lora) for p in part.parameters())
    average = 4 if config.optimiser.ema > 0 else 0
    base, host = _weights(flux, config)
    wide = 2 if config.model.base_dtype == "float32" else 1
    return Needs(
        base=base,
        trainables=count * (8 + average + _STATES[config.optimiser.name]),
        activations=wide * _activations(flux, params, network, lora, config, sizes_of(config, processes)),
        host=host,
    )


def _weights(flux: Flux, config: TrainingConfig) -> tuple[float, float]:
    """Bytes of the frozen weights on the device (including two offloaded blocks), and of those in host memory."""
    model = config.model
    wide = _BYTES["float32" if model.base_dtype == "float32" else "bf16"]
    inner = {id(p) for block in blocks_of(flux).values() for p in block.parameters() if p.ndim > 1}
    size = {id(p): p.numel() * (_BYTES[model.base_dtype] if id(p) in inner else wide) for p in flux.parameters()}
    waiting = [
        sum(size[id(getattr(module, name))] for module, name in travelling(block))
        for block in (spread(flux, model.offload_blocks) if model.offload_blocks else ())
    ]
    on_the_way = sum(sorted(waiting)[-2:])
    return sum(size.values()) - sum(waiting) + on_the_way, sum(waiting)


def _activations(
    flux: Flux, params: FluxParams, network: MoGLE, lora: MaskLoRA, config: TrainingConfig, sizes: Sizes
) -> float:
    """Bytes that the backward pass needs, in bfloat16."""
    whole, block = _saved(flux, params, lora, sizes)
    latents = sizes.samples * network.config.num_latents * sizes.tokens * TOKEN_WIDTH
    mixture = latents * 4 * 4  # themselves, and the experts' inputs and outputs
    if not config.model.gradient_checkpointing:
        return whole + mixture
    sequence = sizes.samples * (2 * sizes.tokens + sizes.text)
    kept = sequence * params.hidden_size * 2 * len(blocks_of(flux))
    return kept + 2 * block + mixture  # twice a block: the saved tensors of the recomputed block, and their gradients


def _saved(flux: Flux, params: FluxParams, lora: MaskLoRA, sizes: Sizes) -> tuple[float, float]:
    """Bytes that autograd saves for a whole pass, and for its largest block, counted on the meta device."""
    meta = torch.device("meta")
    count, tokens = sizes.samples, sizes.tokens

    def empty(*shape: int, grad: bool = False) -> Tensor:
        return torch.empty(*shape, device=meta, dtype=torch.bfloat16, requires_grad=grad)

    low_rank = {
        name: LowRank(empty(*update.down.shape, grad=True), empty(*update.up.shape, grad=True))
        for name, update in lora.low_rank().items()
    }
    counter = _Counter(frozenset(p.untyped_storage()._cdata for p in flux.parameters()), 2 * tokens + sizes.text)
    handles = []
    for block in blocks_of(flux).values():
        handles.append(block.register_forward_pre_hook(lambda *_: counter.begin()))
        handles.append(block.register_forward_hook(lambda *_: counter.finish()))
    mask = MaskCondition(empty(count, tokens, TOKEN_WIDTH, grad=True), sizes.grid, low_rank)
    with torch.autograd.graph.saved_tensors_hooks(counter.add, lambda kept: kept):
        flux(
            empty(count, tokens, TOKEN_WIDTH), empty(count, sizes.text, params.context_in_dim), empty(count),
            empty(count, params.vec_in_dim), sizes.grid, empty(count), mask,
        )  # fmt: skip
    for handle in handles:
        handle.remove()
    return counter.total, max(counter.blocks)


class _Counter:
    """Counts the bytes that autograd saves, each storage once, without weights and attention matrices."""

    def __init__(self, weights: frozenset[int], sequence: int) -> None:
        """sequence: all tokens of one sample."""
        self.weights, self.sequence, self.seen = weights, sequence, dict[int, Any]()
        self.total, self.blocks, self.start = 0.0, list[float](), 0.0

    def add(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # Flash attention on a GPU never allocates the (tokens, tokens) matrix of the meta device's attention.
        square = tensor.ndim > 2 and tensor.shape[-1] == self.sequence
        if storage._cdata not in self.weights and storage._cdata not in self.seen and not square:
            self.seen[storage._cdata] = storage  # referenced, so that its address is not used again
            self.total += storage.nbytes()
        return tensor

    def begin(self) -> None:
        self.start = self.total

    def finish(self) -> None:
        self.blocks.append(self.total - self.start)


def report(config: TrainingConfig, processes: int = 1) -> Iterator[str]:
    """The lines of `mogle train --dry-run`."""
    params, sizes, loop = params_of(config), sizes_of(config, processes), config.loop
    with torch.device("meta"):
        flux = Flux(params)
    network, lora = trained(config, flux)
    blocks = f"{params.depth} + {counted(params.depth_single_blocks, 'block')}, {params.hidden_size} wide"
    pairs = sum(len(found) for found in lora.pairs.values()) // 2
    yield f"base         {_count(flux)} numbers in {config.model.base_dtype}, frozen; {blocks}"
    yield f"network      {_count(network)} trainable numbers in {len(list(network.parameters()))} tensors"
    yield f"LoRA         {_count(lora)} trainable numbers in {counted(pairs, 'pair')} of rank {config.lora.rank}"
    shares = f"{counted(processes, 'process', 'processes')} x {counted(loop.accumulate, 'part')} of {sizes.samples}"
    yield f"step         {counted(loop.batch, 'sample')}: {shares}"
    yield f"run          {counted(loop.steps, 'step')}, {counted(loop.batch * loop.steps, 'sample')}"
    for name, shape in _shapes(params, sizes, network.config.num_latents):
        yield f"  {name:<11}{shape}"
    yield f"  {'attention':<11}{2 * sizes.tokens + sizes.text} tokens: picture, as many of mask, and text"
    found = needs(config, processes)
    yield from _memory(found)
    yield from _advice(config, flux, found)
    yield f"checkpoint   {checkpoint_bytes(config, network, lora) / 2**20:,.0f} MiB; the newest {loop.keep} stay"
    yield from _cache(config, params, sizes)


def _memory(found: Needs) -> Iterator[str]:
    yield "memory of a process, computed from shapes, not measured:"
    for name in ("base", "trainables", "activations"):
        yield f"  {name:<11}{getattr(found, name) / GIB:6.2f} GiB"
    yield f"  {'device':<11}{found.device / GIB:6.2f} GiB, and what the allocator leaves unused: allow a tenth more"
    yield f"  {'host':<11}{found.host / GIB:6.2f} GiB of waiting weights"


_CARDS = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141)  # GiB of GPUs


def _advice(config: TrainingConfig, flux: Flux, found: Needs) -> Iterator[str]:
    """Which GPU holds which base; nothing for a base in float32."""
    if config.model.base_dtype == "float32":
        return
    flux = flux.to(torch.bfloat16)
    fits = []
    for kind in ("bf16", "fp8"):
        other = config.model_copy(update={"model": config.model.model_copy(update={"base_dtype": kind})})
        needed = 1.1 * (found.device - found.base + _weights(flux, other)[0]) / GIB
        card = next((size for size in _CARDS if size >= needed), None)
        fits.append(f"{kind} needs {needed:.0f} GiB" + (f" (a GPU of {card})" if card else ""))
    yield f"advice       {', '.join(fits)}; 8 bits save memory, not time: take bf16 where it fits"


PRESENT = 13
"""Distinct mask pictures of a face: the full one and a dozen classes. All absent classes share one."""


def _cache(config: TrainingConfig, params: FluxParams, sizes: Sizes) -> Iterator[str]:
    """The largest size of this run's cache; equal pictures and captions are stored once."""
    from .data.cache.plan import needs_of
    from .data.items import find_items

    size = 2 if config.cache.dtype == "bf16" else 4
    latent = sizes.tokens * TOKEN_WIDTH * size
    text = (sizes.text * params.context_in_dim + params.vec_in_dim) * size
    if config.cache.where == "none":
        yield "cache        none: everything is encoded when it is asked for"
        return
    further = len(config.conditions.kinds)
    try:
        wanted = needs_of(config, find_items(config.data))
    except DatasetError as error:
        sides = texts = config.loop.batch * config.loop.steps
        pictures = sides * further
        yield f"cache        no data set to count ({error})"
    else:
        sides, texts = int(wanted.sides.sum()), int(wanted.texts.sum())
        pictures = int(wanted.styles.sum())
    yield (
        f"cache        at most {sides:,} faces, {sides * (2 + PRESENT) * latent / GIB:.1f} GiB with their masks, "
        f"and {texts:,} texts, {texts * text / GIB:.1f} GiB"
    )
    if further:
        yield f"conditions   at most {pictures:,} pictures, {pictures * latent / GIB:.1f} GiB"


def checkpoint_bytes(config: TrainingConfig, network: nn.Module, lora: nn.Module) -> int:
    """Bytes of one checkpoint: trainables, average and the optimiser's state."""
    count = sum(p.numel() for part in (network, lora) for p in part.parameters())
    return count * (4 + (4 if config.optimiser.ema > 0 else 0) + _STATES[config.optimiser.name])


def _shapes(params: FluxParams, sizes: Sizes, latents: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    count, tokens = sizes.samples, sizes.tokens
    yield "x0", (count, tokens, TOKEN_WIDTH)
    yield "masks", (count, latents, tokens, TOKEN_WIDTH)
    yield "context", (count, sizes.text, params.context_in_dim)
    yield "pooled", (count, params.vec_in_dim)


def _count(module: nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()):,}"
