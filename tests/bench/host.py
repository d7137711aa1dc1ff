"""The same comparison with ComfyUI's real model and sampler, where a host is found.

    COMFYUI_PATH=~/ComfyUI python tests/bench/host.py [--size 256] [--steps 8] [--rounds 5]

Whole sampling runs with random weights at the reduced geometry, including all of ComfyUI's work. `floor` is plain
FLUX on an image twice as wide. ComfyUI gets the same memory estimate for it as for the mask stream.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support import hosts  # noqa: E402
from support.counting import allocated, in_rounds, ratio
from support.in_process import Comfy, boot  # noqa: E402

OPTIONS: dict[str, dict[str, Any]] = {
    "mask stream": {},
    "  at strength 0.7": {"strength": 0.7},
    "refresh_every 4": {"refresh_every": 4},
    "refresh_every 4, dense early": {"refresh_every": 4, "refresh_schedule": "dense early"},
    "mask_tokens half": {"mask_tokens": "half"},
    "end_percent 0.5": {"end_percent": 0.5},
}


def patched(comfy: Comfy, base: Any, positive: Any, side: int) -> dict[str, tuple[Any, Any]]:
    """Model and conditioning of every row with a mask."""
    from support.bench_models import RANK

    host, versions = comfy.module("nodes.host"), comfy.module("nodes.host.versions")
    start = comfy.module("mogle_core.training.start")
    recipe = comfy.module("mogle_core.model.checkpoints.recipe").Recipe()
    network = comfy.module("mogle_core.model.mixture.network").MoGLE().requires_grad_(False)
    transformer = base.model.diffusion_model
    lora = start.fresh_lora(transformer, RANK, torch.Generator().manual_seed(0)).requires_grad_(False)
    mogle = host.LoadedMoGLE(versions.patcher(network, None), lora, recipe, "sampling", "")
    masks = comfy.module("mogle_core.model.mixture.mask_latents").MaskLatents(
        torch.randn(1, 20, 16, 2 * side, 2 * side)
    )
    node = comfy.node("MoGLEGatedCondition")
    return {
        name: node(model=base, positive=positive, mogle=mogle, mask_latents=masks, **options)[:2]
        for name, options in OPTIONS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    comfy = boot(hosts.choose())
    from support import tiny
    from support.small_weights import FluxSizes

    sizes = FluxSizes(hidden=768, axes=(16, 56, 56), double=3, single=6, context=256, pooled=64)
    base, positive = tiny.tiny_flux(sizes=sizes), tiny.conditioning(1, sizes, tokens=64)
    square, wide = tiny.empty_latent(options.size, options.size), tiny.empty_latent(options.size, 2 * options.size)

    def sample(model: Any, conditioning: Any, latent: Any = square) -> Any:
        return tiny.sample(model, conditioning, None, latent, steps=options.steps)

    runs: dict[str, Any] = {
        "floor: FLUX with as many more tokens": lambda: sample(base, positive, wide),
        "plain FLUX": lambda: sample(base, positive),
    }
    for name, (model, conditioning) in patched(comfy, base, positive, options.size // 16).items():
        runs[name] = lambda model=model, conditioning=conditioning: sample(model, conditioning)
    cpu = torch.device("cpu")
    for run in runs.values():
        run()
    peaks = {name: allocated(run, cpu) for name, run in runs.items()}
    seconds = in_rounds(runs, options.rounds, cpu)
    floor, exact = next(iter(seconds.values())), seconds["mask stream"]
    print(f"{comfy.host.name}, {options.size} px, {options.steps} steps, {torch.get_num_threads()} threads")
    print(f"{'':38}{'median s':>10}{'/ floor':>9}{'/ exact':>9}{'peak MiB':>10}")
    for name, times in seconds.items():
        ratios = f"{ratio(times, floor):9.3f}{ratio(times, exact):9.3f}"
        print(f"{name:38}{statistics.median(times):10.3f}{ratios}{peaks[name] / 2**20:10.1f}")


if __name__ == "__main__":
    main()
