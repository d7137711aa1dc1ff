"""What a step costs at FLUX.1-dev's size, in time by the device's events, and how much of the card it uses."""

from __future__ import annotations

import statistics

import step
import torch
from support.counting import Counted, Run, bandwidth, count, in_rounds, matrix_rate, ratio
from support.merging import tokens_left
from support.rows import Rows

from gpu_parts.sizes import GIB, inputs, like, models, params_of, pixels

ROUNDS = 10
STEPS = 28
"""Of a whole picture."""
GRAPHS = (step.FLOOR, step.PLAIN, step.OURS, step.REUSING)


def run(rows: Rows, kind: str) -> None:
    """kind: how the transformer's weights are held, `bf16` or `fp8`."""
    with torch.inference_mode():
        rate, speed = _card(rows)
        params = params_of(rows)
        with rows.attempt("the models"):
            made = models(rows, params, kind)
        for size in pixels(rows):
            with rows.attempt(f"{size} px"):
                x = inputs(rows, params, size, like(rows))
                runs = step.variants(*made, x)
                rows.tell(f"{size} px, {kind}: mask tokens left after merging", tokens_left(x.grid), "of all")
                seconds = _measured(rows, runs, f"{size} px, {kind}", rate, speed)
                _refreshed(rows, seconds, f"{size} px, {kind}")
            with rows.attempt(f"{size} px, CUDA graphs"):
                _graphs(rows, runs, f"{size} px, {kind}, CUDA graph", seconds)


def _card(rows: Rows) -> tuple[float, float]:
    """Its own rate in bf16 products and its bandwidth, against which the rows are held."""
    width, size = (256, 1 << 20) if rows.small else (8192, 4 * GIB)
    rate = matrix_rate(torch.bfloat16, rows.device, width, width)
    speed = bandwidth(rows.device, size)
    rows.tell("the card's rate in bf16 products", rate / 1e12, "TFLOP/s")
    rows.tell("the card's bandwidth, read and written", speed / 1e12, "TB/s")
    return rate, speed


def _measured(rows: Rows, runs: dict[str, Run], where: str, rate: float, speed: float) -> dict[str, list[float]]:
    counted: dict[str, Counted] = {name: count(run, rows.device) for name, run in runs.items()}  # and warm
    seconds = in_rounds(runs, 2 if rows.small else ROUNDS, rows.device)
    for name, times in seconds.items():
        middle, found = statistics.median(times), counted[name]
        rows.tell(
            f"{where}: {name.strip()}", 1000 * middle, "ms", of_floor=ratio(times, seconds[step.FLOOR]),
            of_plain=ratio(times, seconds[step.PLAIN]), of_rate=found.operations / middle / rate,
            of_bandwidth=found.moved / middle / speed, peak_gib=found.peak / GIB,
            spread=(max(times) - min(times)) / middle,
        )  # fmt: skip
    return seconds


def _refreshed(rows: Rows, seconds: dict[str, list[float]], where: str) -> None:
    """What a whole run takes a step with each schedule of the mask's keys, and with a static checkpoint."""
    for name, mean in step.whole_runs(seconds, STEPS).items():
        of = {"of_exact": step.OURS, "of_floor": step.FLOOR, "of_plain": step.PLAIN}
        rows.tell(f"{where}: {name}", 1000 * statistics.median(mean), "ms",
                  **{key: ratio(mean, seconds[other]) for key, other in of.items()})  # fmt: skip


def _graphs(rows: Rows, runs: dict[str, Run], where: str, eager: dict[str, list[float]]) -> None:
    """The same steps captured once and replayed: what is left when the host launches nothing."""
    if not rows.cuda:
        rows.skip(where, "this device has no graphs")
        return
    for name in GRAPHS:
        with rows.attempt(f"{where}: {name.strip()}"):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                runs[name]()
            graph.replay()
            times = in_rounds({name: graph.replay}, ROUNDS, rows.device)[name]
            rows.tell(f"{where}: {name.strip()}", 1000 * statistics.median(times), "ms",
                      of_eager=statistics.median(times) / statistics.median(eager[name]))  # fmt: skip
