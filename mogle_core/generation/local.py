"""Makes pictures with this machine's models: first the texts, then the transformer, so that memory holds only one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..masks.decouple import Decoupled
from ..model.flux_latents import pack
from ..model.mixture.mask_latents import MIXED, LatentCache, MaskLatents, encode, encode_condition
from ..model.sampling.options import SamplingOptions
from ..model.sampling.sampler import noise_of, sample
from ..model.stream.static_keys import StaticKeys
from ..toy.places import TOY
from .backend import BackendError, Order
from .backoff import in_batches
from .comfy import TOY_FILES, ComfyFiles, comfy_prompt
from .models import Disk, Sources
from .settings import Settings
from .texts import TextStore


class LocalBackend:
    """A `Backend` on one device.

    Every network gets one picture at a time, so that a picture does not depend on its batch, to the bit. With
    `one_pass` the transformer takes a whole batch, which is faster on large GPUs; pictures then agree up to rounding.
    """

    def __init__(
        self,
        sources: Sources,
        device: torch.device | str = "cpu",
        batch: int = 1,
        one_pass: bool = False,
    ) -> None:
        self.batch, self.one_pass, self.sources = batch, one_pass, sources
        self.files = _files(sources)
        self.disk = Disk(sources, torch.device(device))
        self.texts = TextStore(self.disk.text, self.disk.dtype)
        self.latents = LatentCache()
        self.keys = StaticKeys(most=1)  # the next picture often has the same mask, and a set can take gigabytes

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        return {**self.disk.facts(), **({"one_pass": self.batch} if self.one_pass else {})}

    def prepare(self, prompts: Sequence[str]) -> None:
        self.texts.add(prompts)
        self.texts.release()

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Tensor | Exception]]:
        size = self.batch if self.one_pass else 1
        waiting = iter(orders)
        while some := list(islice(waiting, self.batch)):
            self._check(some)
            for group in _alike(some):
                pictures = in_batches(lambda part: self._together(part, settings), group, size)
                yield from zip(group, pictures, strict=True)

    def prompt(self, order: Order, settings: Settings) -> Mapping[str, Any]:
        mask = None if order.job.mask is None else order.job.mask.name
        drawn = {kind: path.name for kind, path in order.job.conditions}
        return comfy_prompt(order.job, settings, self.files, mask, drawn)

    def close(self) -> None:
        self.texts.close()

    def _check(self, orders: Sequence[Order]) -> None:
        if self.sources.mogle is None and any(order.ids is not None for order in orders):
            raise BackendError(
                "There are masks, but no network to follow them: give --mogle (and --lora), or --mode text."
            )
        kinds = [kind for order in orders for kind in order.conditions if kind not in self.disk.extra]
        if kinds:
            if self.sources.mogle is None:
                raise BackendError(f"The jobs have {kinds[0]}, but there is no network to follow it: give --mogle.")
            experts = " and ".join(self.disk.extra) or "the masks alone"
            raise BackendError(
                f"{self.sources.mogle.name} has no expert for {kinds[0]}; it has experts for {experts}. Give --mogle a "
                f"checkpoint that was trained with {kinds[0]} ([conditions] of `mogle train`), or leave {kinds[0]} out "
                "of the jobs."
            )

    @torch.no_grad()
    def _together(self, orders: Sequence[Order], settings: Settings) -> list[Tensor]:
        """Make orders with one forward pass per step. All of them have a mask or further condition, or none has."""
        texts = [self.texts.of(order.job.prompt) for order in orders]
        given = [self._masks(order, settings) for order in orders if _steered(order)]
        masks = [self._tokens(each) for each in given]
        latents = sample(
            self.disk.models,
            torch.cat(masks) if masks else None,
            (torch.cat([context for context, _ in texts]), torch.cat([pooled for _, pooled in texts])),
            torch.stack([_noise(order, settings) for order in orders]).to(self.disk.device),
            SamplingOptions(
                settings.steps,
                settings.guidance,
                strength=settings.strength,
                mask_guidance=settings.mask_guidance,
                refresh=settings.refresh,
                mask_tokens=settings.mask_tokens,
            ),
            store=self.keys,
            cells=_cells(given) if given and settings.mask_tokens == "merged" else None,
        )
        return [self._picture(latent) for latent in latents]

    def _masks(self, order: Order, settings: Settings) -> MaskLatents:
        """The latents of mask and further conditions; without a mask, black ones, as when training drops it."""
        if order.ids is not None:
            masks = Decoupled(order.ids[None], settings.local_masks)
        else:
            masks = Decoupled(torch.zeros(1, settings.height, settings.width, dtype=torch.uint8), "blank")
        latents = encode(masks, self._encode, self.latents)
        for kind, picture in order.conditions.items():
            drawn = encode_condition(picture[None] / 255, self._encode, self.latents, kind)
            latents = latents.with_condition(kind, drawn)
        return latents

    def _tokens(self, latents: MaskLatents) -> Tensor:
        """The latents as tokens (1, 20 + K, L, 64), in the transformer's dtype."""
        tokens: Tensor = pack(latents.for_network(self.disk.extra))
        return tokens.to(self.disk.device, self.disk.dtype)

    def _encode(self, pictures: Tensor) -> Tensor:
        # One by one: the number of new masks depends on earlier ones, and other batch sizes round differently.
        return torch.cat([self.disk.vae.encode(picture[None]).mean for picture in pictures])

    def _picture(self, latent: Tensor) -> Tensor:
        """(16, h, w) -> (H, W, 3) uint8."""
        return (self.disk.vae.decode(latent[None])[0].clamp(0, 1) * 255).round().to("cpu", torch.uint8)


def _files(sources: Sources) -> ComfyFiles:
    """The names of the models in a ComfyUI with the same files."""
    if sources.transformer == TOY:
        network = sources.mogle or Path(TOY_FILES.mogle)
        return replace(TOY_FILES, mogle=network.name, lora=(sources.lora or network).name)
    own = sources.mogle or Path(ComfyFiles.mogle)
    return ComfyFiles(
        transformer=Path(sources.transformer).name,
        vae=Path(sources.vae).name,
        clip_l=Path(sources.clip_l).name,
        t5xxl=Path(sources.t5xxl).name,
        mogle=own.name,
        lora=(sources.lora or own).name,
    )


def _alike(orders: Sequence[Order]) -> Iterator[list[Order]]:
    """Group consecutive orders that all have a mask or a further condition, or all have nothing to follow."""
    run: list[Order] = []
    for order in orders:
        if run and _steered(run[0]) != _steered(order):
            yield run
            run = []
        run.append(order)
    yield run


def _steered(order: Order) -> bool:
    return order.ids is not None or bool(order.conditions)


def _cells(masks: Sequence[MaskLatents]) -> Tensor:
    """The class of each latent cell (B, h, w). If a mask has no classes, none of its tokens are merged."""
    found = ((one, one.cells()) for one in masks)
    return torch.cat([torch.full_like(m.latents[:, 0, 0], MIXED) if c is None else c.to(m.latents) for m, c in found])


def _noise(order: Order, settings: Settings) -> Tensor:
    return noise_of([order.job.seed], settings.height, settings.width)[0] if order.noise is None else order.noise
