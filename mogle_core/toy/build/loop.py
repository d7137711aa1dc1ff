"""The loop that all of the toy's trainings share: AdamW, averaged weights, a log, and exact resuming."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import trange

from ...support.records import append_record
from ...support.tensor_files import write_torch
from ...training.data.draws import generator
from ...training.ema import decay_at, follow
from ...training.optimisers import share_of_rate

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    ema: decay of the averaged weights. save_seconds: seconds between two checkpoints.
    """

    steps: int
    lr: float
    warmup: int = 100
    weight_decay: float = 0.01
    ema: float = 0.999
    clip: float = 1.0
    save_seconds: float = 120.0


def fit(
    model: nn.Module,
    loss_of: Callable[[torch.Generator, int], Tensor],
    plan: Plan,
    folder: Path,
    name: str,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Train the parameters of the model that require gradients; return their averaged values by name.

    Args:
        loss_of: one batch's loss at a step; everything random in it comes from the given generator.
        folder: holds `name`.log.jsonl and the checkpoint `name`.resume.pt.
    """
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    optimiser = torch.optim.AdamW(
        trained.values(), lr=plan.lr, weight_decay=plan.weight_decay, betas=(0.9, 0.99), fused=True
    )
    average = {key: value.detach().clone() for key, value in trained.items()}
    resume, log = folder / f"{name}.resume.pt", folder / f"{name}.log.jsonl"
    rank = dist.get_rank() if dist.is_initialized() else 0
    stream = name if rank == 0 else f"{name}/{rank}"
    first = _restore(resume, trained, average, optimiser) if resume.exists() else 0
    saved, recent = time.monotonic(), 0.0
    with trange(first, plan.steps, initial=first, total=plan.steps, desc=name) as bar:
        for step in bar:
            for group in optimiser.param_groups:
                group["lr"] = plan.lr * schedule(step, plan)
            loss = loss_of(generator(seed, stream, step), step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            _share([value.grad for value in trained.values()])
            nn.utils.clip_grad_norm_(trained.values(), plan.clip)
            optimiser.step()
            follow(list(average.values()), [trained[key] for key in average], decay_at(step, plan.ema))
            recent += (loss.item() - recent) * max(0.02, 1 / (1 + step - first))
            if rank > 0:
                continue
            if step % 50 == 0 or step + 1 == plan.steps:
                append_record(log, {"step": step, "loss": round(recent, 6)})
                bar.set_postfix(loss=f"{recent:.4f}", refresh=False)
            if time.monotonic() - saved > plan.save_seconds or step + 1 == plan.steps:
                _keep(resume, trained, average, optimiser, step + 1)
                saved = time.monotonic()
    return average


def schedule(step: int, plan: Plan) -> float:
    """The factor on the learning rate: a linear warm-up, then half a cosine down to 1 %."""
    return share_of_rate(step, plan.steps, plan.warmup, "cosine")


def _share(gradients: list[Tensor | None]) -> None:
    """Average the gradients over all processes, if there are several (on a CPU they are quicker than threads)."""
    if dist.is_initialized():
        present = [gradient for gradient in gradients if gradient is not None]
        flat = torch.cat([gradient.flatten() for gradient in present])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, mean in zip(present, torch.split(flat, [g.numel() for g in present]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def _keep(
    path: Path,
    trained: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
) -> None:
    state = {"trained": {k: v.detach() for k, v in trained.items()}, "average": average}
    write_torch(path, {**state, "optimiser": optimiser.state_dict(), "step": step})


def _restore(
    path: Path, trained: dict[str, nn.Parameter], average: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> int:
    state = torch.load(path, weights_only=True)
    for key, value in trained.items():
        value.data.copy_(state["trained"][key])
        average[key].copy_(state["average"][key])
    optimiser.load_state_dict(state["optimiser"])
    step = int(state["step"])
    _LOG.info("%s goes on at step %d", path.name, step)
    return step
