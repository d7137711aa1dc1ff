"""What a run through ComfyUI takes at FLUX.1-dev's size, against what ComfyUI was told, and on smaller cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from support.counting import allocated, timed
from support.gpu_host import DEV, SMALL, NoHostError, booted, gated, random_flux
from support.in_process import Comfy
from support.rows import Rows
from support.waits import waits_in
from torch.profiler import ProfilerActivity, profile

from gpu_parts.sizes import GIB, pixels

STEPS = 3
CPU = torch.device("cpu")
SYNCS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "Memcpy DtoH")
WAYS: dict[str, dict[str, Any]] = {
    "mask stream": {},
    "strength 0.7": {"strength": 0.7},
    "refresh_every 4": {"refresh_every": 4},
    "keys once a run": {"refresh_every": 0},
    "keys once a run, in 8 bits": {"refresh_every": 0, "key_storage": "fp8"},
    "keys once a run, in host memory": {"refresh_every": 0, "key_storage": "host memory"},
}


def run(rows: Rows) -> None:
    try:
        comfy = booted(rows)
    except NoHostError as error:
        rows.skip("all of it", str(error))
        return
    sizes = SMALL if rows.small else DEV
    with rows.attempt("bf16 weights on the card"):
        base = random_flux(sizes, False, rows.device)
        for size in pixels(rows):
            with rows.attempt(f"{size} px"):
                told_and_taken(rows, comfy, base, size)
        with rows.attempt("waiting for the card"):
            waits(rows, comfy, base)
        del base
        _empty()
    for limit, made_on in ((16, rows.device), (8, CPU)):
        with rows.attempt(f"fp8 weights, 512 px, a card of {limit} GB"):
            on_a_card_of(rows, comfy, limit, made_on)


def _sampled(rows: Rows, size: int, steps: int = STEPS) -> Callable[[Any, Any], Any]:
    from support import tiny

    return lambda model, positive: tiny.sample(model, positive, None, tiny.empty_latent(size, size), steps=steps)


def told_and_taken(rows: Rows, comfy: Comfy, base: Any, size: int) -> None:
    """Of each way: the allocator's peak beside the weights, and what ComfyUI reckoned with before the run."""
    import comfy.sampler_helpers as helpers

    sizes, tokens = (SMALL, 16) if rows.small else (DEV, 512)
    sample, told = _sampled(rows, size), list[float]()
    original = helpers.estimate_memory

    def noted(*args: Any, **more: Any) -> Any:
        found = original(*args, **more)
        told.append(float(found[1]))  # of one conditioning at a time
        return found

    helpers.estimate_memory = noted
    try:
        models = {name: gated(comfy, base, sizes, size // 16, tokens, **ways) for name, ways in WAYS.items()}
        plain = next(iter(models.values()))[2]
        for name, (model, positive) in {"plain FLUX": (base, plain), **{n: m[:2] for n, m in models.items()}}.items():
            sample(model, positive)  # weights and kernels are there
            told.clear()
            taken = allocated(lambda: sample(model, positive), rows.device)  # noqa: B023
            seconds = timed(lambda: sample(model, positive), rows.device)  # noqa: B023
            where = f"{size} px, {name}: peak beside the weights"
            more = {"told_gib": told[0] / GIB, "seconds_a_step": seconds / STEPS}
            if rows.cuda:
                # The host's own share for a run beside the model comes on top of this.
                rows.check(where, taken / GIB, told[0] / GIB, "GiB", **more)
            else:
                rows.tell(where, taken / GIB, "GiB", **more)
    finally:
        helpers.estimate_memory = original


def waits(rows: Rows, comfy: Comfy, base: Any) -> None:
    """At the defaults a step must not wait for the card: what more steps add is no more than with plain FLUX."""
    sizes, tokens, size = (SMALL, 16, 64) if rows.small else (DEV, 512, 512)
    model, positive, plain = gated(comfy, base, sizes, size // 16, tokens)

    def counted(model: Any, positive: Any, steps: int) -> int:
        sample = _sampled(rows, size, steps)
        if not rows.cuda:
            return len(waits_in(lambda: sample(model, positive)))
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            sample(model, positive)
        events = profiler.key_averages()
        return sum(event.count for event in events if event.key.startswith(SYNCS))

    for given in ((model, positive), (base, plain)):
        counted(*given, 2)  # what happens once
    ours, theirs = ((counted(*given, 5) - counted(*given, 2)) / 3 for given in ((model, positive), (base, plain)))
    rows.check("waits for the card in a step, at the defaults", ours - theirs, 0.0, "more than plain", plain=theirs)
    rows.skip("waits for the card in a step, static masks", "this version has no such weights")


@contextmanager
def _card_of(limit: int, device: torch.device) -> Iterator[None]:
    """The card as if it had so many GB: to the allocator, and to ComfyUI, which asks the driver."""
    real, allowed = torch.cuda.mem_get_info, limit * 10**9
    torch.cuda.set_per_process_memory_fraction(allowed / real(device)[1], device)

    def pretended(asked: Any = None) -> tuple[int, int]:
        free, total = real(asked)
        return max(0, min(free, allowed - torch.cuda.memory_reserved(device))), min(total, allowed)

    torch.cuda.mem_get_info = pretended
    try:
        yield
    finally:
        torch.cuda.mem_get_info = real
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def on_a_card_of(rows: Rows, comfy: Comfy, limit: int, made_on: torch.device) -> None:
    sizes, tokens, size = (SMALL, 16, 64) if rows.small else (DEV, 512, 512)
    base = random_flux(sizes, True, CPU if rows.small else made_on)
    what = f"fp8 weights, {size} px, a card of {limit} GB"
    sample = _sampled(rows, size)
    model, positive, _ = gated(comfy, base, sizes, size // 16, tokens)
    if not rows.cuda:
        found = sample(model, positive)
        rows.holds(f"{what}: runs (without the limit)", bool(found.isfinite().all()))
        return
    _empty()
    with _card_of(limit, rows.device):
        found = sample(model, positive)
        seconds = timed(lambda: sample(model, positive), rows.device) / STEPS
        held = model.loaded_size() / model.model_size()
    peak = torch.cuda.max_memory_allocated(rows.device) / GIB
    rows.holds(f"{what}: runs", bool(found.isfinite().all()), peak_gib=peak, weights_on_the_card=held,
               seconds_a_step=seconds)  # fmt: skip


def _empty() -> None:
    import gc

    import comfy.model_management

    comfy.model_management.unload_all_models()
    gc.collect()
    comfy.model_management.soft_empty_cache()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
