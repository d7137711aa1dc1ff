"""The memory of a step without the weights: the bytes alive at once, computed from shapes, and an estimate.

    python tests/bench/memory.py                  FLUX.1-dev's geometry in bf16, at 512 x 512 and 1024 x 1024
    python tests/bench/memory.py --check          compares shapes with real tensors, at the reduced geometry
    python tests/bench/memory.py --official CHECKOUT    also the official code's step

Nothing here is measured on a GPU. Workspaces of libraries and rounding by the allocator need additional memory.
Attention is counted as fused, without a matrix of (tokens, tokens).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support.bench_models import REDUCED, Inputs, random_flux, random_lora
from support.counting import Bytes
from support.merging import SHARE, cells_with_squares, tokens_left
from support.official import Asked, Official, add_options
from torch import Tensor

from mogle_core.model.flux import attention
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.kept_keys import Kept, kept_bytes
from mogle_core.model.stream.lora import LowRank
from mogle_core.model.stream.mask_tokens import mask_grid
from mogle_core.model.stream.merged_tokens import merge_squares

GIB = 2**30
HOST_FACTOR = 3.1
"""ComfyUI's `memory_usage_factor` of FLUX.1."""


def fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The shape of the result of a fused attention."""
    return q.new_empty(q.shape[0], q.shape[2], q.shape[1] * q.shape[3])


def peaks(
    params: FluxParams,
    side: int,
    text: int,
    dtype: torch.dtype,
    device: torch.device,
    options: argparse.Namespace,
    share: float = SHARE,
) -> dict[str, int]:
    """Bytes alive at once in a step of each kind, without weights and inputs. share: the fraction of merged squares."""
    model = random_flux(params, dtype, device)
    pairs = random_lora(model, dtype, device)
    lora = {name: LowRank(*pair) for name, pair in pairs.low_rank().items()}
    x = Inputs.random(params, side, text, torch.empty(0, dtype=dtype, device=device))
    mask = MaskCondition(x.image, x.grid, lora, modulations=model.modulate_mask(x.pooled, x.guidance, lora))
    half = mask_grid("half", x.grid)
    kept: Kept = {}
    peak(model, x, replace(mask, keep=kept))
    # Merging looks at the classes of a mask, so it needs numbers and not only shapes.
    merged = replace(mask, merged=merge_squares(cells_with_squares(x.grid, share), x.grid, device))
    fewer: Kept = {}
    peak(model, x, replace(merged, keep=fewer))
    doubled = replace(x, image=torch.cat((x.image, x.image), 1), grid=(side, 2 * side))
    official = {}
    if options.official:
        process = Official(options.official, options.official_python, model, MoGLE().to(device, dtype), pairs, x)
        official["official code"] = Asked(process, "step").count().peak
        process.close()
    return official | {
        "plain FLUX": peak(model, x, None),
        "floor: as many more tokens": peak(model, doubled, None),
        "mask stream": peak(model, x, mask),
        "  that keeps its keys": peak(model, x, replace(mask, keep={})),
        "  that reuses keys (kept ones not counted)": peak(model, x, replace(mask, reuse=kept)),
        "mask_tokens half": peak(model, x, replace(mask, tokens=x.image[:, : half[0] * half[1]], grid=half)),
        "mask_tokens merged": peak(model, x, merged),
        "  merged, and keeps its keys": peak(model, x, replace(merged, keep={})),
        "  merged, and reuses keys (not counted)": peak(model, x, replace(merged, reuse=fewer)),
    }


def peak(model: Flux, x: Inputs, mask: MaskCondition | None) -> int:
    with mock.patch.object(attention, "_without_positions", fused), torch.inference_mode(), Bytes() as counted:
        model(x.image, x.text, x.time, x.pooled, x.grid, x.guidance, mask)
    return counted.peak


def told(side: int, batch: int, extra: float) -> float:
    """What ComfyUI assumes for bf16 activations with fused attention. extra: the mask's share of the area."""
    return batch * (2 * side) ** 2 * (1 + extra) * 2 * 0.01 * HOST_FACTOR * 2**20


def print_walk(params: FluxParams, options: argparse.Namespace) -> None:
    for size in options.sizes:
        side = size // 16
        found = peaks(params, side, 512, torch.bfloat16, torch.device("meta"), options)
        kept = kept_bytes(params.depth + params.depth_single_blocks, 1, side * side, params.hidden_size, 2)
        print(f"\n{size} px, bf16, walked on shapes; refresh_every keeps {kept / GIB:.2f} GiB")
        for name, size_of in found.items():
            print(f"  {name:44}{size_of / GIB:8.2f} GiB")
        left = tokens_left((side, side))
        print(f"  merged: {left:.2f} of the mask tokens are left, ComfyUI is told {told(side, 1, left) / GIB:.2f} GiB, "
              f"and refresh_every keeps {left * kept / GIB:.2f} GiB")  # fmt: skip
        print(f"  ComfyUI is told: plain {told(side, 1, 0) / GIB:.2f}, with the mask {told(side, 1, 1) / GIB:.2f} GiB "
              f"(and twice that where there is room for two conditionings at once)")  # fmt: skip
        estimate(params, found, kept)


def estimate(params: FluxParams, found: dict[str, int], kept: int) -> None:
    """Transformer weights and activations of a step, in GiB. Text encoders and VAE are not loaded at this time."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in Flux(params).parameters())
    for name, width in (("bf16", 2), ("fp8", 1)):
        weights = count * width
        exact, reuse = weights + found["mask stream"], weights + found["mask stream"] + kept
        print(f"  estimate, {name} weights: {weights / GIB:.1f} + activations = {exact / GIB:.1f} GiB exact, "
              f"{reuse / GIB:.1f} GiB with refresh_every; streamed weights: "
              f"{(found['mask stream'] + 2 * GIB) / GIB:.1f} GiB with 2 GiB of them resident")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    add_options(parser)
    options = parser.parse_args()
    if not options.check:
        print_walk(FluxParams(), options)
        return
    for device in ("meta", "cpu"):
        found = peaks(REDUCED, 16, 64, torch.float32, torch.device(device), options)
        print(device, {name.strip(): f"{size / 2**20:.1f} MB" for name, size in found.items()})


if __name__ == "__main__":
    main()
