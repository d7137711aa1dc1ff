"""Runs steps of the official code in a separate process and environment. `official.py` starts it.

    PYTHON tests/bench/official_process.py CHECKOUT FILE

FILE holds weights in the official layouts and the inputs of a step; of some tensors it holds only the shapes, and they
are drawn here. Each line of standard input is answered with a line of JSON: `step` and `network` run and are timed,
`count step` is counted, `velocity` returns the result of the step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from support.counting import count, timed
from torch import Tensor


def read(file: str) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The settings, and the tensors of `flux`, `network`, `lora` and `input`."""
    parts: dict[str, dict[str, Tensor]] = {"flux": {}, "network": {}, "lora": {}, "input": {}}
    with safe_open(file, "pt") as opened:
        settings = json.loads(opened.metadata()["settings"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (safe_open is no dict)
    dtype = getattr(torch, settings["dtype"])
    tensors |= {name: drawn(shape, dtype, settings["device"]) for name, shape in settings["shapes"].items()}
    for name, tensor in tensors.items():
        part, _, own = name.partition("/")
        parts[part][own] = tensor.to(settings["device"])
    return settings, parts


def drawn(shape: list[int], dtype: torch.dtype, device: str) -> Tensor:
    """Random weights, where they are to be; on no device, the shape."""
    if device == "meta":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.randn(shape, dtype=dtype, device=device) * shape[-1] ** -0.5


def fused(query: Tensor, *_: object, **__: object) -> Tensor:
    """The shape of the result of a fused attention. Without a device, torch would otherwise compute an unfused one."""
    return torch.empty_like(query)


def build(settings: dict[str, Any], parts: dict[str, dict[str, Tensor]]) -> tuple[Any, Any]:
    """The official code's transformer with its LoRA, and its network."""
    from diffusers import FluxTransformer2DModel
    from peft import LoraConfig, set_peft_model_state_dict
    from src.moe.mogle import MoGLE

    with torch.device("meta"):
        flux = FluxTransformer2DModel(**settings["config"])
    flux.load_state_dict(parts["flux"], assign=True)
    pairs = {name.removeprefix("transformer."): pair for name, pair in parts["lora"].items()}
    targets = sorted({name.split(".lora_")[0] for name in pairs})
    flux.add_adapter(LoraConfig(r=settings["rank"], lora_alpha=settings["rank"], target_modules=targets))
    set_peft_model_state_dict(flux, pairs, "default")

    dtype = parts["input"]["image"].dtype
    network = MoGLE().to(settings["device"], dtype)
    network.gating.dtype = dtype
    network.load_state_dict(parts["network"])
    return flux.to(dtype).eval(), network.eval()


def steps(flux: Any, network: Any, given: dict[str, Tensor], grid: list[int]) -> dict[str, Callable[[], Tensor]]:
    """What the official sampler does at each step, and the network's part of it."""
    from src.flux.transformer import tranformer_forward

    ids = torch.zeros(*grid, 3)
    ids[..., 1], ids[..., 2] = torch.arange(grid[0])[:, None], torch.arange(grid[1])
    ids = ids.view(-1, 3).to(given["image"])

    def tokens() -> Tensor:
        return network(given["masks"], given["image"], 1000 * given["time"])

    def step() -> Tensor:
        (velocity,) = tranformer_forward(
            flux,
            condition_latents=tokens(), condition_ids=ids, condition_type_ids=None,
            model_config={"union_cond_attn": True, "add_cond_attn": False, "latent_lora": False},
            hidden_states=given["image"], encoder_hidden_states=given["text"], timestep=given["time"],
            guidance=given["guidance"], pooled_projections=given["pooled"], img_ids=ids,
            txt_ids=ids.new_zeros(given["text"].shape[1], 3), return_dict=False,
        )  # fmt: skip
        return velocity

    return {"step": step, "network": tokens}


@torch.no_grad()
def main() -> None:
    checkout, file = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    sys.path.insert(0, checkout)
    settings, parts = read(file)
    torch.set_num_threads(settings["threads"])
    given = parts["input"]
    if settings["device"] == "meta":
        torch.nn.functional.scaled_dot_product_attention = fused
    known = steps(*build(settings, parts), given, settings["grid"])
    print("{}", file=answers, flush=True)
    for line in map(str.strip, sys.stdin):
        what, _, name = line.rpartition(" ")
        answer: dict[str, Any] = {}
        if what == "count":
            answer = asdict(count(known[name], given["image"].device))
        elif name == "velocity":
            answer = {"velocity": known["step"]().float().tolist()}
        else:
            answer = {"seconds": timed(known[name], given["image"].device)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
