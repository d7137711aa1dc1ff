"""What a training step costs at FLUX.1-dev's size: time, memory, and where the time goes."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import Any

import torch
from support.bench_models import random_flux
from support.counting import timed
from support.rows import Rows
from support.toy_run import NoiseSamples
from torch.profiler import ProfilerActivity, profile

from gpu_parts.sizes import GIB, params_of
from mogle_core.model.flux.frozen import prepare_base
from mogle_core.model.flux.model import Flux
from mogle_core.model.stream.transformer import blocks_of
from mogle_core.training.config.reading import TrainingConfig
from mogle_core.training.loop import Trainer
from mogle_core.training.processes import Processes
from mogle_core.training.start import fresh_lora, fresh_network
from mogle_core.training.trainables import Trainables

ROUNDS = 10
WAYS: dict[str, dict[str, Any]] = {
    "bf16": {},
    "fp8": {"base_dtype": "fp8"},
    "fp8, 28 blocks offloaded": {"base_dtype": "fp8", "offload_blocks": 28},
    "nf4": {"base_dtype": "nf4"},
    "bf16, blocks compiled": {"compiled": True},
}
KINDS = {
    "attention": ("flash", "fmha", "attention", "sdpa"),
    "products": ("gemm", "cutlass", "nvjet", "cublas", "aten::mm", "aten::addmm", "aten::bmm", "matmul", "linear"),
    "copies": ("memcpy", "memset", "copy_", "_to_copy"),
}
"""Of a kernel's or an operation's name, what it does; all the rest is `elementwise and others`."""


def run(rows: Rows) -> None:
    for name, way in WAYS.items():
        for batch in (1,) if "compiled" in way or rows.small else (1, 4):
            what = f"{name}, batch {batch}"
            if rows.time_for(what, 12):
                with rows.attempt(what):
                    measured(rows, name, dict(way), batch)


def measured(rows: Rows, name: str, way: dict[str, Any], batch: int) -> None:
    if way.get("base_dtype") == "nf4" and not _has("bitsandbytes"):
        rows.skip(f"{name}, batch {batch}", "bitsandbytes is not installed")
        return
    compiled = way.pop("compiled", False)
    if rows.cuda:
        torch.cuda.reset_peak_memory_stats()
    trainer = made(rows, way, batch, compiled)
    for _ in range(2):
        trainer.take_step()
    times, begun = [], time.monotonic()
    while len(times) < (2 if rows.small else ROUNDS) and (time.monotonic() - begun < 15 or len(times) < 3):
        times.append(timed(trainer.take_step, rows.device))
    loss, norm = trainer.take_step()
    finite = bool(loss.isfinite() and norm.isfinite())
    middle = statistics.median(times)
    peak = {"peak_gib": torch.cuda.max_memory_allocated() / GIB} if rows.cuda else {}
    rows.holds(f"{name}, batch {batch}: loss and gradient are finite", finite)
    rows.tell(f"{name}, batch {batch}", middle, "s/step", samples_a_second=batch / middle, **peak, steps=len(times))
    if batch == 1:
        rows.tell(f"{name}, batch {batch}: where the time goes", None, **shares(trainer, rows))


def made(rows: Rows, way: dict[str, Any], batch: int, compiled: bool) -> Trainer:
    params = params_of(rows)
    settings = TrainingConfig.model_validate({
        "model": {"gradient_checkpointing": True, **way},
        "loop": {"steps": 100, "batch": batch, "seed": 0},
        "optimiser": {"name": "prodigy" if _has("prodigyopt") else "adamw"},
    })  # fmt: skip
    model = settings.model
    flux = random_flux(params, torch.bfloat16, rows.device)
    if compiled:
        _compile(flux, "inductor" if rows.cuda else "eager")
    flux = prepare_base(flux, model.base_dtype, rows.device, 1 if rows.small and model.offload_blocks else
                        model.offload_blocks, recompute=True)  # fmt: skip
    side, text = (4, 16) if rows.small else (32, 512)
    samples = NoiseSamples(4, (side, side), text, params.context_in_dim, params.vec_in_dim)
    lora = fresh_lora(flux, 4, torch.Generator().manual_seed(0))
    trainables = Trainables(fresh_network(None, 0), lora, rows.device)
    return Trainer(settings, flux, trainables, samples, range(4), Processes(device=rows.device))


def _compile(flux: Flux, backend: str) -> None:
    torch._dynamo.config.recompile_limit = 256  # a block knows its own name, so each is compiled for itself
    for block in blocks_of(flux).values():
        block.forward = torch.compile(block.forward, dynamic=False, backend=backend)


def shares(trainer: Trainer, rows: Rows) -> dict[str, float]:
    """Of one step's time on the device, by what the kernels do."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if rows.cuda else [])]
    with profile(activities=activities) as profiler:
        trainer.take_step()
    found: Counter[str] = Counter()
    for event in profiler.key_averages():
        own = event.self_device_time_total if rows.cuda else event.self_cpu_time_total
        kind = next((k for k, words in KINDS.items() if any(word in event.key.lower() for word in words)), "others")
        found[kind] += own
    return {kind: time / max(1, found.total()) for kind, time in found.most_common()}


def _has(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None
