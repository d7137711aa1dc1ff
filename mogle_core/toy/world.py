"""Loads the toy world from a folder, and generates pictures from masks and prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..masks.decouple import Decoupled
from ..model.checkpoints.files import read
from ..model.checkpoints.recipe import Recipe
from ..model.checkpoints.tensors import read_tensors
from ..model.conditions import KINDS
from ..model.flux.files import load_flux
from ..model.flux.model import Flux
from ..model.flux_latents import pack
from ..model.mixture.mask_latents import LatentCache, MaskLatents, class_shares, encode, encode_condition, pure_cells
from ..model.mixture.network import MoGLE
from ..model.sampling.options import SamplingOptions
from ..model.sampling.sampler import Moment as Moment
from ..model.sampling.sampler import Record, Text
from ..model.sampling.sampler import noise_of as noise_of
from ..model.sampling.sampler import sample as denoise
from ..model.stream.lora import MaskLoRA
from ..model.stream.region_text import PROMPT_STRENGTH, RegionText, area_of
from ..support.errors import WeightsError
from .judge import Judge
from .places import FILES, WEIGHTS
from .text import ToyText
from .vae import ToyVAE

DEFAULTS = SamplingOptions(steps=20)
"""How the toy makes a picture."""


@dataclass(frozen=True)
class World:
    """All models of the toy world, frozen, in float32 and on one device."""

    flux: Flux
    vae: ToyVAE
    text: ToyText
    judge: Judge
    network: MoGLE
    lora: MaskLoRA
    recipe: Recipe

    @property
    def device(self) -> torch.device:
        return self.vae.vae_scale.device


def load_world(folder: Path = WEIGHTS, device: torch.device | str = "cpu", mogle: Path | None = None) -> World:
    """Read a world's files, as `mogle toy build` writes them. mogle: another file with network and LoRA.

    Raises:
        WeightsError: a file is missing, or holds something other than its name says.
    """
    if missing := [name for name in FILES.values() if not (folder / name).is_file()]:
        raise WeightsError(
            f"The toy's weights in {folder} are incomplete: {missing[0]} is missing. Make them by "
            "`mogle toy build`, and give their folder."
        )
    mogle = mogle or folder / FILES["mogle"]
    checkpoint = read(mogle)
    if checkpoint.network is None or checkpoint.lora is None:
        raise WeightsError(
            f"{mogle.name} must contain both the network and the LoRA. Rebuild it with `mogle toy build`."
        )
    text, words = read_tensors(folder / FILES["text"])
    vae, judge = ToyVAE(), Judge()
    encoder = ToyText(json.loads(words["toy.vocabulary"]))
    for model, tensors in (
        (vae, read_tensors(folder / FILES["vae"])[0]),
        (judge, read_tensors(folder / FILES["judge"])[0]),
        (encoder, text),
    ):
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        model.requires_grad_(False).eval().to(device)
    return World(
        flux=load_flux(folder / FILES["flux"], torch.float32).to(device),
        vae=vae,
        text=encoder,
        judge=judge,
        network=checkpoint.network.to(device),
        lora=checkpoint.lora.float().to(device),
        recipe=checkpoint.recipe,
    )


@torch.no_grad()
def encode_masks(world: World, ids: Tensor, cache: LatentCache | None = None) -> Tensor:
    """Label maps (B, H, W) uint8 -> mask latents (B, 20, 16, H/8, W/8); sides are multiples of 16."""
    return encode(Decoupled(ids.to(world.device)), world.vae.encode_images, cache or LatentCache(), "toy").latents


@torch.no_grad()
def encode_conditions(
    world: World, ids: Tensor | None, sketches: Tensor | None, cache: LatentCache | None = None
) -> Tensor | None:
    """The conditions as tokens (B, 20 + K, L, 64) for the world's network; None without any.

    ids: as in `encode_masks`; without them the masks are black, as when training drops them. sketches: (B, H, W) uint8.

    Raises:
        MaskError: the network has no expert for a sketch.
    """
    if ids is None and sketches is None:
        return None
    cache = cache or LatentCache()
    if ids is not None:
        masks = MaskLatents(encode_masks(world, ids, cache))
    else:
        blank = Decoupled(torch.zeros_like(sketches).to(world.device), "blank")  # type: ignore[arg-type]
        masks = encode(blank, world.vae.encode_images, cache, "toy")
    if sketches is not None:
        given = (sketches.to(world.device) / 255)[..., None].expand(-1, -1, -1, 3)
        pictures = KINDS["sketch"].picture(given, (sketches.shape[1], sketches.shape[2]))
        latents = encode_condition(pictures, world.vae.encode_images, cache, "sketch", "toy")
        masks = masks.with_condition("sketch", latents)
    return pack(masks.for_network(world.network.config.extra))


@torch.no_grad()
def generate(
    world: World,
    ids: Tensor | None,
    prompts: Sequence[str],
    seeds: Sequence[int],
    options: SamplingOptions = DEFAULTS,
    size: tuple[int, int] = (128, 128),
    region_prompts: Mapping[str, str | Sequence[str]] | None = None,
    prompt_strength: float = PROMPT_STRENGTH,
    record: Record | None = None,
    cache: LatentCache | None = None,
    sketches: Tensor | None = None,
) -> Tensor:
    """Pictures (B, H, W, 3) uint8 on the CPU, one for each prompt. Each is independent of the rest of its batch.

    Args:
        ids: label maps (B, H, W) uint8, or None. Without sketches as well, the base model runs without network and
            LoRA.
        seeds: each picture's noise.
        options: the toy was trained at guidance 1 only.
        size: height and width in pixels where there is neither mask nor sketch.
        region_prompts: a region's own prompt by class name: one for all pictures, or one for each.
        prompt_strength: how much of `prompts` such a region still sees.
        record: called after every step. cache: keeps the masks' latents for further calls.
        sketches: (B, H, W) uint8, lines on black or on white, for a network with an expert for them.

    Raises:
        ValueError: region strengths or region prompts without a mask; sketches, and the network has no expert for them.
    """
    if ids is None and (options.regions or region_prompts):
        raise ValueError("Region strengths and region prompts need label maps: pass `ids` with them.")
    for shown in (sketches, ids):
        if shown is not None:
            size = (shown.shape[-2], shown.shape[-1])
    latents = sample(
        world,
        encode_conditions(world, ids, sketches, cache),
        world.text.encode(prompts),
        noise_of(seeds, *size).to(world.device),
        options,
        region_texts(world, ids, region_prompts, prompt_strength) if ids is not None and region_prompts else (),
        record,
        None if ids is None or sketches is not None else pure_cells(ids),
    )
    pictures = world.vae.decode(latents).clamp(0, 1).movedim(1, -1)
    return (pictures * 255).round().to(torch.uint8).cpu()


@torch.no_grad()
def region_texts(
    world: World,
    ids: Tensor,
    prompts: Mapping[str, str | Sequence[str]],
    prompt_strength: float = PROMPT_STRENGTH,
) -> tuple[RegionText, ...]:
    """The region prompts, each with the area of its class in every label map (B, H, W)."""
    texts = []
    for name, prompt in prompts.items():
        context, _ = world.text.encode([prompt] if isinstance(prompt, str) else prompt)
        area = area_of(class_shares(ids, name)).to(context.device)
        texts.append(RegionText(context, area, prompt_strength=prompt_strength))
    return tuple(texts)


@torch.no_grad()
def sample(
    world: World,
    masks: Tensor | None,
    text: Text,
    noise: Tensor,
    options: SamplingOptions = DEFAULTS,
    texts: tuple[RegionText, ...] = (),
    record: Record | None = None,
    cells: Tensor | None = None,
) -> Tensor:
    """`model.sampling.sampler.sample` in this world, with its empty prompt where `options.cfg` needs one."""
    empty = None
    if options.cfg != 1:
        context, pooled = world.text.encode([""])
        empty = (context.expand_as(text[0]), pooled.expand_as(text[1]))
    return denoise(world, masks, text, noise, options, texts, empty, record, cells=cells)
