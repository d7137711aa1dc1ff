"""What a step with the mask stream costs, against plain FLUX and against FLUX with as many more image tokens.

    python tests/bench/step.py                         a reduced geometry, on a CPU in a minute or two
    python tests/bench/step.py --full --device cuda    FLUX.1-dev's geometry in bf16, random weights

Every variant runs once in each round, so that the ratios hold while the machine's speed drifts. The floor is
plain FLUX with the mask's tokens as more image tokens: an exact third stream cannot cost less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mogle_core.attention import StreamOptions
from mogle_core.flux import Flux, FluxParams, MaskCondition
from mogle_core.lora import MaskLoRA
from mogle_core.network import MoGLE
from mogle_core.training.start import fresh_lora

REDUCED = FluxParams(
    vec_in_dim=64, context_in_dim=256, hidden_size=768, num_heads=6, depth=3, depth_single_blocks=6
)
RANK = 4


@dataclass(frozen=True)
class Inputs:
    """One step's, for a picture of `grid` tokens."""

    image: Tensor
    text: Tensor
    time: Tensor
    pooled: Tensor
    guidance: Tensor
    masks: Tensor
    grid: tuple[int, int]

    @classmethod
    def random(cls, params: FluxParams, side: int, text: int, like: Tensor) -> Inputs:
        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, device=like.device, dtype=like.dtype)

        tokens, one = side * side, like.new_ones(1)
        return cls(
            normal(1, tokens, 64), normal(1, text, params.context_in_dim), 0.6 * one, normal(1, params.vec_in_dim),
            3.5 * one, normal(1, 20, tokens, 64), (side, side),
        )  # fmt: skip


def random_flux(params: FluxParams, dtype: torch.dtype, device: torch.device) -> Flux:
    """The transformer with random weights, made where it will run."""
    with torch.device("meta"):
        model = Flux(params)
    model = model.to(dtype).to_empty(device=device)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return model.requires_grad_(False).eval()


def random_lora(model: Flux, dtype: torch.dtype, device: torch.device) -> MaskLoRA:
    """A LoRA on the official trainer's layers, with nothing in it zero."""
    lora = fresh_lora(model, RANK, torch.Generator().manual_seed(0)).to(device, dtype).requires_grad_(False)
    for parameter in lora.parameters():
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return lora


def variants(model: Flux, network: MoGLE, lora: MaskLoRA, x: Inputs) -> dict[str, Callable[[], Tensor]]:
    """Every way to compute a step, by its name in the table."""
    low_rank = lora.low_rank()
    outputs, full_mask = network.expert_outputs(x.masks), x.masks[:, 0]
    conditions = (x.text, x.time, x.pooled)

    def tokens() -> Tensor:
        return network.blend(outputs, network.gate_weights(full_mask, x.image, 1000 * x.time))

    def step(lora: dict = low_rank, **options: float | bool) -> Tensor:
        mask = MaskCondition(tokens(), x.grid, lora, StreamOptions(**options))
        return model(x.image, *conditions, x.grid, x.guidance, mask)

    doubled, wide = torch.cat((x.image, x.image), dim=1), (x.grid[0], 2 * x.grid[1])
    return {
        "floor: FLUX with as many more tokens": lambda: model(doubled, *conditions, wide, x.guidance),
        "plain FLUX": lambda: model(x.image, *conditions, x.grid, x.guidance),
        "mask stream": step,
        "mask stream, no LoRA": lambda: step({}),
        "mask stream, strength 0.7": lambda: step(strength=0.7),
        "gate and blend alone": tokens,
    }


def timed(run: Callable[[], Tensor], device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def matrix_rate(dtype: torch.dtype, device: torch.device, width: int) -> float:
    """The machine's own floating-point operations a second in a large product of this dtype."""
    a, b = (torch.randn(2048, width, device=device, dtype=dtype) for _ in range(2))
    seconds = statistics.median(timed(lambda: a @ b.T, device) for _ in range(10))
    return 2 * 2048 * 2048 * width / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="FLUX.1-dev's geometry: 19 + 38 blocks, 3072 wide")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--size", type=int, default=None, help="pixels a side (256 reduced, 512 full)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    params, text, size = (FluxParams(), 512, 512) if options.full else (REDUCED, 64, 256)
    dtype = torch.bfloat16 if options.full else torch.float32
    device, side = options.device, (options.size or size) // 16

    with torch.inference_mode():
        model = random_flux(params, dtype, device)
        network, lora = MoGLE().to(device, dtype), random_lora(model, dtype, device)
        x = Inputs.random(params, side, text, torch.empty(0, dtype=dtype, device=device))
        runs = variants(model, network, lora, x)
        operations = {}
        for name, run in runs.items():  # also the warm-up
            with FlopCounterMode(display=False) as counter:
                run()
            operations[name] = counter.get_total_flops()
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                seconds[name].append(timed(run, device))
        rate = matrix_rate(dtype, device, params.hidden_size)

    floor = next(iter(runs))
    threads = torch.get_num_threads()
    print(f"{torch.__version__}, {device}, {dtype}, {16 * side} px, {threads} threads, {options.rounds} rounds")
    print(f"{'':38}{'median':>10}{'min':>10}{'max':>10}{'/ floor':>9}{'GFLOP':>10}{'of rate':>9}")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(times, seconds[floor], strict=True))
        middle = statistics.median(times)
        share, giga = operations[name] / middle / rate, operations[name] / 1e9
        row = f"{middle:10.4f}{min(times):10.4f}{max(times):10.4f}{ratio:9.3f}{giga:10.2f}{share:9.0%}"
        print(f"{name:38}{row}")


if __name__ == "__main__":
    main()
