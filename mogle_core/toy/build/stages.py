"""The stages of the toy's build, and the files that each writes to the work folder for the next."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor, nn

from ...model.flux.model import Flux
from ...model.mixture.network import MoGLE, MoGLEConfig
from ...support.tensor_files import write_safetensors
from ...training.start import fresh_lora
from ...training.step import predict, step_loss
from ..drawer.faceset import HELD_OUT, FaceSet, draw_faces, read_faces, write_faces
from ..files import RECIPE, write_mogle, write_world
from ..judge import Judge
from ..places import SKETCH_FILE
from ..registration import TOY_FLUX
from ..text import ToyText, collect_vocabulary
from ..vae import ToyVAE
from ..world import World, load_world
from .base import Painter, train_base
from .judge import train_judge
from .latents import encode_masks, encode_pictures, encode_references, through_vae
from .loop import Plan
from .mogle import RANK, MaskedFaces, masked_faces, train_mogle
from .scores import ABLATIONS, score_ablation, score_world
from .sketch import encode_sketches, train_sketch
from .vae import train_vae

_Model = TypeVar("_Model", bound=nn.Module)
_Function = TypeVar("_Function", bound=Callable[..., object])

FACES, MASKED_FACES = 12_000, 1_300
HELD, SCORED = 512, 200
BASE_STEPS, DRAWING_STEPS, MOGLE_STEPS, ABLATION_STEPS = 4500, 1000, 4500, 300
SKETCH_STEPS, SKETCH_DRAWING_STEPS = 9000, 400
SKETCHED_FACES, SKETCH_STYLES = 2400, 2


class Workshop:
    """The settings of one build, and the files that its stages share."""

    def __init__(
        self, out: Path, work: Path, seed: int, device: str | None, budget: float, compiled: bool = False
    ) -> None:
        self.out, self.work, self.seed, self.budget, self.compiled = out, work, seed, budget, compiled
        self.first = not dist.is_initialized() or dist.get_rank() == 0
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def maybe_compiled(self, function: _Function) -> _Function:
        return torch.compile(function) if self.compiled else function  # type: ignore[return-value]

    def count(self, number: int) -> int:
        return max(2, round(number * self.budget))

    def plan(self, steps: int, lr: float, ema: float = 0.995) -> Plan:
        return Plan(self.count(steps), lr, ema=ema, warmup=min(100, self.count(steps) // 4 + 1))

    def path(self, name: str) -> Path:
        return self.work / f"{name}.safetensors"

    def notes(self) -> dict[str, str]:
        """For the files' metadata: the command that makes them again."""
        return {"toy.made_by": f"mogle toy build --seed {self.seed} --budget {self.budget:g}"}

    @cached_property
    def faces(self) -> FaceSet:
        return read_faces(self.path("faces"))

    @cached_property
    def held(self) -> FaceSet:
        return read_faces(self.path("held"))

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        if self.first:
            write_safetensors(self.path(name), tensors)

    def vae(self, name: str = "vae") -> ToyVAE:
        return self._filled(ToyVAE(), name)

    def judge(self) -> Judge:
        return self._filled(Judge(), "judge")

    def painter(self) -> Painter:
        return self._filled(Painter(ToyText(collect_vocabulary(self.faces.captions)), Flux(TOY_FLUX)), "base")

    def world(self, name: str = "mogle", config: MoGLEConfig | None = None) -> World:
        """The world in the work folder, with the network and LoRA of this name."""
        painter = self.painter()
        lora = fresh_lora(painter.flux, RANK, torch.Generator())
        mixture = self._filled(nn.ModuleDict({"network": MoGLE(config), "lora": lora}), name)
        network = mixture["network"]
        assert isinstance(network, MoGLE)
        return World(painter.flux, self.vae(), painter.text, self.judge(), network, lora, RECIPE)

    def _filled(self, model: _Model, name: str) -> _Model:
        model.load_state_dict(load_file(self.path(name)))
        return model.requires_grad_(False).eval().to(self.device)


def draw_stage(shop: Workshop) -> None:
    """Draw the training faces and the held-out ones."""
    for name, first, count in (("faces", 0, shop.count(FACES)), ("held", HELD_OUT, shop.count(HELD))):
        if not shop.path(name).exists():
            write_faces(shop.path(name), draw_faces(range(first, first + count), workers=os.cpu_count() or 1))


def vae_stage(shop: Workshop) -> None:
    """Train encoder and decoder together, then the decoder alone on faces, with the latents fixed."""
    if shop.path("vae").exists():
        return
    train = partial(train_vae, shop.faces, folder=shop.work, seed=shop.seed, device=shop.device)
    whole = train(plan=shop.plan(800, 1e-3), name="vae_whole")
    frozen = partial(train, plan=shop.plan(6000, 1e-3), batch=16, frozen_encoder=True, faces_only=True, noise=0.12)
    decoded = frozen(start=whole.state_dict(), name="vae_decoder")
    shop.keep("vae", decoded.state_dict())


def judge_stage(shop: Workshop) -> None:
    if not shop.path("judge").exists():
        some = shop.faces.first(shop.count(1500))
        seen = some + through_vae(shop.vae(), some.first(shop.count(700)))
        train = partial(train_judge, seen, folder=shop.work, seed=shop.seed, device=shop.device)
        shop.keep("judge", train(plan=shop.plan(3200, 2e-3)).state_dict())


def latents_stage(shop: Workshop) -> None:
    """Encode the faces, their references, and the masks of the first faces."""
    if not shop.path("pictures_latents").exists():
        shop.keep("pictures_latents", {"x0": encode_pictures(shop.vae(), shop.faces)})
    if not shop.path("references_latents").exists():
        shop.keep("references_latents", {"x0": encode_references(shop.vae(), shop.faces, shop.seed)})
    if not shop.path("masks_latents").exists():
        masks, rows = encode_masks(shop.vae(), shop.faces.first(shop.count(MASKED_FACES)))
        shop.keep("masks_latents", {"masks": masks, "rows": rows})


def base_stage(shop: Workshop) -> None:
    if shop.path("base").exists():
        return
    torch.manual_seed(shop.seed)
    painter = Painter(ToyText(collect_vocabulary(shop.faces.captions)), Flux(TOY_FLUX)).to(shop.device)
    x0, references = (load_file(shop.path(f"{name}_latents"))["x0"] for name in ("pictures", "references"))
    plan = shop.plan(BASE_STEPS, 1.5e-3, ema=0.997)
    faces = (x0, references, shop.faces.captions)
    forward = shop.maybe_compiled(predict)
    shop.keep("base", train_base(*faces, painter, plan, shop.work, shop.seed, forward=forward).state_dict())


def masked(shop: Workshop) -> MaskedFaces:
    stored = load_file(shop.path("masks_latents"))
    count = len(stored["rows"])
    x0, references = (load_file(shop.path(f"{name}_latents"))["x0"][:count] for name in ("pictures", "references"))
    captions = shop.faces.captions[:count]
    return masked_faces(shop.painter().text, captions, x0, references, stored["masks"], stored["rows"])


def mogle_stage(shop: Workshop) -> None:
    """Train network and LoRA, then write all files of the world."""
    if not shop.path("mogle").exists():
        painter, plan = shop.painter(), shop.plan(MOGLE_STEPS, 3e-3, ema=0.99)
        steps, loss = shop.count(DRAWING_STEPS), shop.maybe_compiled(step_loss)
        network, lora = train_mogle(painter.flux, masked(shop), plan, steps, shop.work, shop.seed, step_loss=loss)
        shop.keep("mogle", nn.ModuleDict({"network": network, "lora": lora}).state_dict())
    if shop.first:
        write_world(shop.world(), shop.out, shop.notes())


def sketched(shop: Workshop, world: World) -> MaskedFaces:
    """The first faces with their masks and sketches.

    Without the earlier stages' files the faces are drawn here.
    """
    count = shop.count(SKETCHED_FACES)
    faces = shop.faces.first(count) if shop.path("faces").exists() else draw_faces(range(count))
    if not shop.path("sketch_latents").exists():
        masks, rows = encode_masks(world.vae, faces)
        tensors = {
            "x0": encode_pictures(world.vae, faces),
            "references": encode_references(world.vae, faces, shop.seed),
            "masks": masks,
            "rows": rows,
            "sketches": encode_sketches(world.vae, range(count), SKETCH_STYLES),
        }
        shop.keep("sketch_latents", tensors)
    stored = load_file(shop.path("sketch_latents"))
    parts = (stored[name] for name in ("x0", "references", "masks", "rows"))
    return replace(masked_faces(world.text, faces.captions, *parts), sketches=stored["sketches"])


def sketch_stage(shop: Workshop) -> None:
    """Add a sketch expert to the world in the work folder, or without one to the embedded world."""
    world = shop.world() if shop.path("mogle").exists() else load_world(device=shop.device)
    plan, name = shop.plan(SKETCH_STEPS, 1.5e-3), SKETCH_FILE.removesuffix(".safetensors")
    network, lora = train_sketch(
        world.flux,
        world.network,
        world.lora,
        sketched(shop, world),
        plan,
        shop.count(SKETCH_DRAWING_STEPS),
        shop.work,
        shop.seed,
        name=name,
        step_loss=shop.maybe_compiled(step_loss),
    )
    if shop.first:
        write_mogle(network, lora, shop.out / SKETCH_FILE, shop.notes())


def score_stage(shop: Workshop) -> None:
    """The scores of the finished world on held-out faces."""
    score_world(shop.world(), shop.held.first(shop.count(SCORED)), shop.work / "scores.json")


def ablation_stage(shop: Workshop) -> None:
    """A small version of Tables 3 to 5: train every variant alike, for a fifteenth of the steps, and score it."""
    flux, faces, plan = shop.painter().flux, masked(shop), shop.plan(ABLATION_STEPS, 3e-3, ema=0.99)
    steps, loss = shop.count(DRAWING_STEPS), shop.maybe_compiled(step_loss)
    train = partial(train_mogle, flux, faces, plan, steps, shop.work, shop.seed, step_loss=loss)
    for row, config in ABLATIONS.items():
        name = "ablation_" + row.replace(", ", "-").replace(" ", "_")
        if not shop.path(name).exists():
            network, lora = train(config=config, name=name)
            shop.keep(name, nn.ModuleDict({"network": network, "lora": lora}).state_dict())
        if not shop.first:
            continue
        held = shop.held.first(shop.count(SCORED))
        score_ablation(shop.world(name, config), held, row, shop.work / "ablations.json")


@dataclass(frozen=True)
class Stage:
    """One stage. alone: of several processes the first does it, and the others wait."""

    run: Callable[[Workshop], None]
    alone: bool = False


STAGES: Mapping[str, Stage] = {
    "draw": Stage(draw_stage, alone=True),
    "vae": Stage(vae_stage),
    "judge": Stage(judge_stage),
    "latents": Stage(latents_stage, alone=True),
    "base": Stage(base_stage),
    "mogle": Stage(mogle_stage),
    "sketch": Stage(sketch_stage),
    "score": Stage(score_stage, alone=True),
    "ablations": Stage(ablation_stage),
}
"""In the order in which they build on each other."""
