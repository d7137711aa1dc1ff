"""The toy world, ready to use: its weights from a folder, and pictures from masks and prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..encode import LATENT_CHANNELS, LatentCache, class_shares, encode
from ..flux import Flux, MaskCondition
from ..flux_files import load_flux
from ..lora import LowRank, MaskLoRA
from ..masks import Decoupled
from ..network import MoGLE, pack, unpack
from ..region_text import PROMPT_STRENGTH, RegionText, area_of
from ..regions import Region, strengths
from ..sampling import euler, flux_sigmas, guided, sigma_at
from ..weights import Recipe, WeightsError, read, read_tensors
from .judge import Judge
from .text import ToyText
from .vae import ToyVAE

WEIGHTS = Path(__file__).parent / "weights"
"""The embedded world's folder, made by `mogle toy build`."""

FILES: Mapping[str, str] = {
    "flux": "toy_flux.safetensors",
    "vae": "toy_vae.safetensors",
    "text": "toy_text.safetensors",
    "judge": "toy_judge.safetensors",
    "mogle": "toy_mogle.safetensors",
}
"""The files of a world's folder; ComfyUI's stock loaders take `flux` and `vae`, its MoGLE nodes `mogle`."""


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


@dataclass(frozen=True)
class Moment:
    """One sampling step, as `generate` records it.

    step: from 0. sigma: noise share before it. latents: (B, 16, H/8, W/8) after it.
    gates: (B, L, 20), each token's weights of the full mask's expert and the 19 classes'; None without a mask.
    """

    step: int
    sigma: float
    latents: Tensor
    gates: Tensor | None


def load_world(folder: Path = WEIGHTS, device: torch.device | str = "cpu") -> World:
    """Read a world's files, as `mogle toy build` leaves them.

    Raises:
        WeightsError: a file is missing or is not what its name says.
    """
    if missing := [name for name in FILES.values() if not (folder / name).is_file()]:
        raise WeightsError(f"The toy's weights are not whole in {folder}: {missing[0]} is missing. Make them by "
                           "`mogle toy build`, and give their folder.")
    checkpoint = read(folder / FILES["mogle"])
    if checkpoint.network is None or checkpoint.lora is None:
        raise WeightsError(f"{FILES['mogle']} must hold network and LoRA: make it again with `mogle toy build`.")
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


def noise_of(seeds: Sequence[int], height: int, width: int) -> Tensor:
    """The noise of each seed, (B, 16, H/8, W/8): what ComfyUI draws for a batch of one."""
    shape = (LATENT_CHANNELS, height // 8, width // 8)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def generate(
    world: World,
    ids: Tensor | None,
    prompts: Sequence[str],
    seeds: Sequence[int],
    steps: int = 20,
    guidance: float = 1.0,
    cfg: float = 1.0,
    size: tuple[int, int] = (128, 128),
    record: Callable[[Moment], None] | None = None,
    regions: tuple[Region, ...] = (),
    region_prompts: Mapping[str, str | Sequence[str]] | None = None,
    prompt_strength: float = PROMPT_STRENGTH,
) -> Tensor:
    """Pictures (B, H, W, 3) uint8 on the CPU, one for each prompt; none depends on the others of its batch.

    Args:
        ids: label maps (B, H, W) uint8, or None for the base model alone, without network and LoRA.
        seeds: one for each picture's noise.
        guidance: the guidance embedding's value; the toy has only seen 1.
        cfg: classifier-free guidance against the empty prompt with the same mask; 1 is none.
        size: height and width in pixels where there is no mask.
        record: called after every step.
        regions: strengths and time windows of single regions' masks.
        region_prompts: by class name, the text of that region alone: one for all pictures, or one for each.
        prompt_strength: how much of `prompts` such a region still sees.

    Raises:
        ValueError: regions or their prompts without a mask.
    """
    if ids is None and (regions or region_prompts):
        raise ValueError("Regions are the mask's: give label maps with their strengths and prompts.")
    if ids is not None:
        size = (ids.shape[-2], ids.shape[-1])
    latents = sample(
        world,
        None if ids is None else pack(encode_masks(world, ids)),
        world.text.encode(prompts),
        noise_of(seeds, *size).to(world.device),
        steps,
        guidance,
        cfg,
        record,
        regions,
        region_texts(world, ids, region_prompts, prompt_strength) if ids is not None and region_prompts else (),
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
    """The prompts of classes of label maps (B, H, W), each with its area in every picture."""
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
    text: tuple[Tensor, Tensor],
    noise: Tensor,
    steps: int,
    guidance: float = 1.0,
    cfg: float = 1.0,
    record: Callable[[Moment], None] | None = None,
    regions: tuple[Region, ...] = (),
    texts: tuple[RegionText, ...] = (),
) -> Tensor:
    """From noise (B, 16, h, w) to latents of the same shape, by Euler on FLUX's shifted sigmas.

    Args:
        masks: the mask latents as tokens (B, 20, L, 64), or None for the base model.
        text: context (B, T, C) and pooled (B, P).
        regions: as in `generate`. texts: texts of single regions; classifier-free guidance is against none.
    """
    height, width = noise.shape[-2:]
    grid = (height // 2, width // 2)
    sigmas = flux_sigmas(steps, grid[0] * grid[1]).to(noise)
    stream = None if masks is None else _Stream(world, masks, grid, regions)
    empty = tuple(part.expand_as(full) for part, full in zip(world.text.encode([""]), text, strict=True))

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        mask = None if stream is None else stream.condition(x, sigma)
        strength = torch.full_like(sigma, guidance)
        told = mask if mask is None or not texts else replace(mask, texts=texts)
        with_text = world.flux(x, text[0], sigma, text[1], grid, strength, told)
        if cfg == 1:
            return with_text  # type: ignore[no-any-return]
        without = world.flux(x, empty[0], sigma, empty[1], grid, strength, mask)
        return guided(with_text, without, cfg)

    latents = noise
    for step, tokens in enumerate(euler(velocity, pack(noise), sigmas)):
        latents = unpack(tokens, height, width)
        if record is not None:
            gates = None if stream is None else stream.gates
            record(Moment(step, float(sigmas[step]), latents, gates))
    return latents


class _Stream:
    """The mask's share of one sampling run: the experts' outputs once, the gate at each step."""

    def __init__(self, world: World, masks: Tensor, grid: tuple[int, int], regions: tuple[Region, ...]) -> None:
        self.world, self.grid, self.full_mask = world, grid, masks[:, 0]
        self.regions, tokens = regions, grid[0] * grid[1]
        self.windows = [
            (sigma_at(one.end_percent, tokens), sigma_at(one.start_percent, tokens)) for one in regions
        ]
        self.outputs = world.network.expert_outputs(masks)
        self.lora: dict[str, LowRank] = world.lora.low_rank()
        self.gates: Tensor | None = None

    def condition(self, noisy: Tensor, sigma: Tensor) -> MaskCondition:
        network, recipe = self.world.network, self.world.recipe
        time = sigma * 1000 if recipe.gate_timestep == "sampling" else sigma
        self.gates = network.gate_weights(self.full_mask, noisy, time)
        tokens = network.blend(self.outputs, self.gates, self.factors(float(sigma.max())))
        return MaskCondition(tokens, self.grid, self.lora, recipe.options)

    def factors(self, sigma: float) -> Tensor | None:
        """The regions' strengths at this step, (20,); None if all are 1."""
        found = strengths(self.regions, tuple(last <= sigma <= first for last, first in self.windows))
        return None if found is None else found.to(self.outputs)
