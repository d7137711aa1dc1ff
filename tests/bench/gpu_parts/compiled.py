"""What torch.compile gives: blocks compiled, the whole transformer compiled, beside the same steps run eagerly."""

from __future__ import annotations

import statistics
import time

import step
import torch
from support.counting import Run, in_rounds, ratio
from support.rows import Rows

from gpu_parts.sizes import inputs, like, models, params_of, pixels
from mogle_core.model.flux.model import Flux
from mogle_core.model.stream.transformer import blocks_of

ROUNDS = 10
NAMES = (step.FLOOR, step.PLAIN, step.OURS, "  at strength 0.7", step.REUSING)
SMALL_NAMES = (step.OURS,)  # to compile takes seconds, also for the smallest


def run(rows: Rows, what: str) -> None:
    """what: `parts`, 3 + 6 blocks of the full width, of which each is compiled, and then all as one; `whole`, all
    57 blocks as one, which takes minutes to compile."""
    # A block knows its own name, so each is compiled for itself.
    torch._dynamo.config.recompile_limit = 256
    depth = (3, 6) if what == "parts" else (19, 38)
    params, size = params_of(rows, *depth), pixels(rows)[0]
    with torch.inference_mode(), rows.attempt("compiled"):
        flux, network, lora = models(rows, params)
        x = inputs(rows, params, size, like(rows))
        names = SMALL_NAMES if rows.small else NAMES
        runs = {name: run for name, run in step.variants(flux, network, lora, x).items() if name in names}
        where = f"{params.depth} + {params.depth_single_blocks} blocks, {size} px"
        for each in runs.values():
            each()
        eager = in_rounds(runs, 2 if rows.small else ROUNDS, rows.device)
        for way in ("blocks", "whole") if what == "parts" else ("whole",):
            _compile(flux, way, "inductor" if rows.cuda else "eager")
            for name in names:
                what = f"{where}: {way} compiled, {name.strip()}"
                if rows.time_for(what, 20):
                    with rows.attempt(what):
                        _row(rows, what, runs[name], eager[name])
            _compile(flux, "", "")


def _row(rows: Rows, what: str, run: Run, eager: list[float]) -> None:
    begun = time.monotonic()
    run()
    took = time.monotonic() - begun
    times = in_rounds({"": run}, len(eager), rows.device)[""]
    rows.tell(what, 1000 * statistics.median(times), "ms", of_eager=ratio(times, eager), seconds_to_compile=took)


def _compile(flux: Flux, way: str, backend: str) -> None:
    """way: `blocks`, `whole`, or neither."""
    torch._dynamo.reset()
    for module in (flux, *blocks_of(flux).values()):
        module._compiled_call_impl = None
    for module in {"blocks": [*blocks_of(flux).values()], "whole": [flux]}.get(way, []):
        module.compile(dynamic=False, backend=backend)
