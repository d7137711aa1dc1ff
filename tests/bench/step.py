"""What a step with the mask stream costs, compared with plain FLUX and with FLUX with as many extra image tokens.

    python tests/bench/step.py                         a reduced geometry, on a CPU in some minutes
    python tests/bench/step.py --full --device cuda    FLUX.1-dev's geometry in bf16, random weights
    python tests/bench/step.py --sizes 256 512 768     time against counted operations, size by size
    python tests/bench/step.py --compile               also every row compiled by torch
    python tests/bench/step.py --official CHECKOUT     also the official code on the same weights

Every variant runs once in each round, so the ratios stay valid while the machine's speed drifts. The floor is plain
FLUX with the mask tokens as extra image tokens: an exact third stream cannot cost less. The row of an option whose
steps differ is the mean of one refreshed step and the steps that reuse its keys.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support.bench_models import REDUCED, Inputs, random_flux, random_lora
from support.counting import Counted, Run, count, in_rounds, matrix_rate, operations, ratio
from support.merging import cells_with_squares, tokens_left
from support.official import Asked, Official, add_options
from torch import Tensor, nn

from mogle_core.model.flux.attention import attend
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.kept_keys import Kept
from mogle_core.model.stream.key_forms import KeyForm
from mogle_core.model.stream.lora import MaskLoRA
from mogle_core.model.stream.mask_tokens import mask_grid, mask_positions, resize_tokens, thin_tokens
from mogle_core.model.stream.merged_tokens import merge_squares
from mogle_core.model.stream.static_keys import compute_keys

FLOOR, PLAIN, OURS = "floor: FLUX with as many more tokens", "plain FLUX", "mask stream"
OFFICIAL = "official code"
KEEPING, REUSING = "  that keeps its keys", "  a step that reuses keys"
GATE = "gate and blend alone"
STATIC = "static: the mask alone, once a mask"
MERGED = "mask_tokens merged"
MERGED_KEEPING, MERGED_REUSING = "  merged, and keeps its keys", "  merged, a step that reuses keys"


def variants(model: Flux, network: MoGLE, lora: MaskLoRA, x: Inputs) -> dict[str, Run]:
    """Every way to compute a step, by its name in the table."""
    low_rank = lora.low_rank()
    modulations = model.modulate_mask(x.pooled, x.guidance, low_rank)
    conditions = (x.text, x.time, x.pooled)
    outputs, full_mask = network.expert_outputs(x.masks), x.masks[:, 0]
    half = mask_grid("half", x.grid)
    fewer = resize_tokens(x.masks, x.grid, half)
    half_outputs = network.expert_outputs(fewer)

    def tokens() -> Tensor:
        return network.blend(outputs, network.gate_weights(full_mask, x.image, 1000 * x.time))

    def half_tokens() -> Tensor:
        noisy = thin_tokens(x.image, x.grid, half)
        return network.blend(half_outputs, network.gate_weights(fewer[:, 0], noisy, 1000 * x.time))

    merged = merge_squares(cells_with_squares(x.grid), x.grid, x.image.device)

    def run(mask: MaskCondition) -> Tensor:
        return model(x.image, *conditions, x.grid, x.guidance, mask)

    def exact(**options: float) -> MaskCondition:
        return MaskCondition(tokens(), x.grid, low_rank, StreamOptions(**options), modulations=modulations)

    kept: Kept = KeyForm().new()
    run(replace(exact(), keep=kept))
    merged_kept: Kept = KeyForm().new()
    run(replace(exact(), merged=merged, keep=merged_kept))
    doubled, wide = torch.cat((x.image, x.image), dim=1), (x.grid[0], 2 * x.grid[1])
    positions = mask_positions(*x.grid, axes=len(model.params.axes_dim), device=x.image.device)

    def static_keys() -> Kept:
        keys: Kept = KeyForm().new()
        compute_keys(model, exact(), positions, x.grid, model.rotary, lambda block: attend, keys)
        return keys

    return {
        FLOOR: lambda: model(doubled, *conditions, wide, x.guidance),
        PLAIN: lambda: model(x.image, *conditions, x.grid, x.guidance),
        OURS: lambda: run(exact()),
        "  without its LoRA": lambda: run(replace(exact(), lora={})),
        "  at strength 0.7": lambda: run(exact(strength=0.7)),
        KEEPING: lambda: run(replace(exact(), keep=KeyForm().new())),
        REUSING: lambda: run(MaskCondition(x.image, x.grid, reuse=kept)),
        STATIC: static_keys,
        "mask_tokens half": lambda: run(MaskCondition(half_tokens(), half, low_rank, modulations=modulations)),
        MERGED: lambda: run(replace(exact(), merged=merged)),
        MERGED_KEEPING: lambda: run(replace(exact(), merged=merged, keep=KeyForm().new())),
        MERGED_REUSING: lambda: run(MaskCondition(x.image, x.grid, merged=merged, reuse=merged_kept)),
        GATE: tokens,
        "experts, once a mask": lambda: network.expert_outputs(x.masks),
        "modulations, once a run": lambda: model.modulate_mask(x.pooled, x.guidance, low_rank),
    }


class Loop(nn.Module):
    """The 20 experts as 20 modules that run one after the other, as in the official code."""

    def __init__(self, network: MoGLE) -> None:
        super().__init__()
        experts = network.experts
        assert experts is not None
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 64)) for _ in range(20))
        for i, expert in enumerate(self.experts):
            expert.load_state_dict({
                "0.weight": experts.weight_in[i], "0.bias": experts.bias_in[i],
                "2.weight": experts.weight_out[i], "2.bias": experts.bias_out[i],
            })  # fmt: skip

    def forward(self, latents: Tensor) -> Tensor:
        return torch.stack([expert(latents[:, i]) for i, expert in enumerate(self.experts)], 1)


def compare_experts(tokens: int, dtype: torch.dtype, device: torch.device, rounds: int) -> float:
    """How many times longer a loop over 20 modules takes than our batch of 20, after their results agree."""
    network = MoGLE().to(device, dtype).requires_grad_(False)
    loop, batch = Loop(network).to(device, dtype), network.experts
    assert batch is not None
    masks = torch.randn(1, 20, tokens, 64, device=device, dtype=dtype)
    torch.testing.assert_close(loop(masks), batch(masks), atol=2e-2, rtol=2e-2)
    seconds = in_rounds({"loop": lambda: loop(masks), "batch": lambda: batch(masks)}, rounds, device)
    return ratio(seconds["loop"], seconds["batch"])


def print_experts(device: torch.device, rounds: int) -> None:
    counts = (16, 64, 256, 1024, 4096)
    print("\n20 experts in a loop, as many times as long as in one batch, at so many mask tokens")
    print(" " * 16 + "".join(f"{tokens:>8}" for tokens in counts))
    for dtype in (torch.float32, torch.bfloat16):
        ratios = [compare_experts(tokens, dtype, device, 5 * rounds) for tokens in counts]
        print(f"{str(dtype):16}" + "".join(f"{each:8.1f}" for each in ratios))


def print_rows(seconds: dict[str, list[float]], counted: dict[str, Counted], rate: float) -> None:
    heads = (("median s", 10), ("min", 9), ("max", 9), ("/ floor", 9), ("GFLOP", 10), ("GB", 8), ("peak MiB", 9))
    print(" " * 38 + "".join(f"{head:>{width}}" for head, width in heads) + f"{'of rate':>9}")
    for name, times in seconds.items():
        middle, found = statistics.median(times), counted[name]
        share = found.operations / middle / rate
        print(
            f"{name:38}{middle:10.4f}{min(times):9.4f}{max(times):9.4f}{ratio(times, seconds[FLOOR]):9.3f}"
            f"{found.operations / 1e9:10.2f}{found.moved / 1e9:8.2f}{found.peak / 2**20:9.0f}{share:9.0%}"
        )


ONCE = 20
"""The steps of a run that computes the mask stream once."""

ADAPTIVE = 4
"""How many of these the toy's `adaptive` computes (docs/speed.md)."""


def whole_runs(seconds: dict[str, list[float]], steps: int = ONCE) -> dict[str, list[float]]:
    """The mean step of a whole run with each schedule, round by round.

    A refreshed step stores its keys, and the others reuse them. `adaptive` also runs gate and blend at each step. A
    static checkpoint makes its keys by a pass of the mask alone, and a second run finds them there.
    """
    keeps, reuses, gates, alone = (seconds[name] for name in (KEEPING, REUSING, GATE, STATIC))
    merged = seconds[MERGED_KEEPING], seconds[MERGED_REUSING]

    def mixed(
        share: float, added: Sequence[float], by: tuple[Sequence[float], Sequence[float]] = (keeps, reuses)
    ) -> list[float]:
        rows = zip(*by, added, strict=True)
        return [share * keep + (1 - share) * (reuse + more) for keep, reuse, more in rows]

    nothing = [0.0] * len(keeps)
    return {
        **{f"refresh_every {every}": mixed(1 / every, nothing) for every in (2, 4, 8)},
        f"refresh_every 0, keys once in {steps} steps": mixed(1 / steps, nothing),
        f"mask_tokens merged, keys once in {steps} steps": mixed(1 / steps, nothing, merged),
        f"adaptive, {ADAPTIVE} of {ONCE} steps": mixed(ADAPTIVE / ONCE, gates),
        f"static, the first run of {steps} steps": [r + one / steps for r, one in zip(reuses, alone, strict=True)],
        "static, a second run with another prompt": reuses,
    }


def print_refresh(seconds: dict[str, list[float]]) -> None:
    for name, mean in whole_runs(seconds).items():
        ratios = ratio(mean, seconds[OURS]), ratio(mean, seconds[FLOOR]), ratio(mean, seconds[PLAIN])
        print(f"{name}: %.3f of the exact stream, %.3f of the floor, %.3f of plain FLUX" % ratios)
        if OFFICIAL in seconds:
            print(f"{name}: {ratio(mean, seconds[OFFICIAL]):.3f} of the official code")


def random_models(params: FluxParams, options: argparse.Namespace) -> tuple[Flux, MoGLE, MaskLoRA, Tensor]:
    """Transformer, network and LoRA, and a tensor with their dtype and device."""
    like = torch.empty(0, dtype=torch.bfloat16 if options.full else torch.float32, device=options.device)
    model = random_flux(params, like.dtype, like.device)
    return model, MoGLE().to(like).requires_grad_(False), random_lora(model, like.dtype, like.device), like


def measure(params: FluxParams, side: int, text: int, options: argparse.Namespace) -> None:
    """The tables for one size."""
    model, network, lora, like = random_models(params, options)
    dtype, device = like.dtype, like.device
    x = Inputs.random(params, side, text, like)
    rate = matrix_rate(dtype, device, params.hidden_size)
    print(f"\n{16 * side} px: {text} text, {side * side} image and mask tokens; {rate / 1e9:.0f} GFLOP/s in products")
    official = start_official(options, model, network, lora, x) if options.official else None
    runs = variants(model, network, lora, x)
    if options.exact:
        runs = {name: run for name, run in runs.items() if name in (FLOOR, PLAIN, OURS)}
    if official:
        runs |= {OFFICIAL: Asked(official, "step"), "  its experts and gate": Asked(official, "network")}
    # Also the warm-up.
    counted = {name: run.count() if isinstance(run, Asked) else count(run, device) for name, run in runs.items()}
    seconds = in_rounds(runs, options.rounds, device)
    print_rows(seconds, counted, rate)
    if REUSING in runs:
        print(f"merged: {tokens_left(x.grid):.2f} of the mask tokens are left")
        print_refresh(seconds)
    if official:
        official.close()
    if options.compile:
        print_compiled(model, variants(model, network, lora, x), options.rounds, device)


def start_official(options: argparse.Namespace, model: Flux, network: MoGLE, lora: MaskLoRA, x: Inputs) -> Official:
    """The process of the official code, after a check that it computes what our code computes."""
    official = Official(options.official, options.official_python, model, network, lora, x)
    theirs, ours = official.velocity(), variants(model, network, lora, x)[OURS]()
    assert isinstance(ours, Tensor)
    off = float((ours.float().cpu() - theirs).norm() / theirs.norm())
    print(f"the official code's velocity and ours differ by {off:.1e} of it")
    return official


def print_compiled(model: Flux, runs: dict[str, Run], rounds: int, device: torch.device) -> None:
    """The rows of a step with the compiled forward pass of the transformer, and the number of graph breaks."""
    runs = {name: runs[name] for name in (FLOOR, PLAIN, OURS, "  at strength 0.7", REUSING)}
    model.compile(dynamic=False)
    for run in runs.values():
        run()
    seconds = in_rounds(runs, rounds, device)
    for name, times in seconds.items():
        print(f"compiled {name:38}{statistics.median(times):10.4f}{ratio(times, seconds[FLOOR]):9.3f}")


def compare_sizes(params: FluxParams, sizes: list[int], text: int, options: argparse.Namespace) -> None:
    """Whether time follows the counted operations: the time per operation at each size, compared with the mean of
    the round.

    All sizes run in each round, because the machine's speed may drift meanwhile.
    """
    model, network, lora, like = random_models(params, options)
    inputs = {size: Inputs.random(params, size // 16, text, like) for size in sizes}
    made = {size: variants(model, network, lora, x) for size, x in inputs.items()}
    for row in (PLAIN, OURS):
        runs = {str(size): made[size][row] for size in sizes}
        counted = {name: operations(run) for name, run in runs.items()}
        seconds = in_rounds(runs, options.rounds, like.device)
        by_operation = {name: [time / counted[name] for time in times] for name, times in seconds.items()}
        means = [statistics.mean(each) for each in zip(*by_operation.values(), strict=True)]
        print(f"\n{row}: time by operation, against the mean over the sizes")
        for name, times in by_operation.items():
            spread = [time / mean - 1 for time, mean in zip(times, means, strict=True)]
            print(
                f"{name:>6} px{statistics.median(seconds[name]):10.3f} s{counted[name] / 1e9:10.1f} GFLOP"
                f"{statistics.median(spread):+8.1%} ({min(spread):+.1%} to {max(spread):+.1%})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="FLUX.1-dev's geometry: 19 + 38 blocks, 3072 wide")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    sizes_help = "pixels a side (default: 256 reduced, 512 and 1024 full); of several, only how time follows size"
    parser.add_argument("--sizes", type=int, nargs="+", help=sizes_help)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--exact", action="store_true", help="only plain FLUX, the floor and the exact stream")
    parser.add_argument("--compile", action="store_true", help="measure the transformer compiled by torch, too")
    add_options(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    params, text, sizes = (FluxParams(), 512, [512, 1024]) if options.full else (REDUCED, 64, [256])
    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads, {options.rounds} rounds")
    with torch.inference_mode():
        if options.sizes and len(options.sizes) > 1:
            compare_sizes(params, options.sizes, text, options)
            return
        for size in options.sizes or sizes:
            measure(params, size // 16, text, options)
        if not options.exact:
            print_experts(options.device, options.rounds)


if __name__ == "__main__":
    main()
