"""Other people's packs beside this one: each is loaded into a real ComfyUI, and what it does to FLUX.1 is measured.

    python tests/host/packs_matrix.py PACKS_DIR

PACKS_DIR holds the packs, each in a folder with its repository's name; it is never part of this repository. The node of
a pack is put before and after Gated Condition, and the result is compared with what it must be:

    same       the mask's own result: the pack changes nothing, or only how it is computed
    changed    neither the mask's result nor the pack's without the mask: both have their effect
    swallowed  the pack's result without the mask, and the log names what swallowed it

Exits with 1 if a pack that could be loaded came out wrong.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "shared"), str(Path(__file__).resolve().parents[2])]

from support import hosts
from support.in_process import Comfy, LoadLog, boot

GOLDEN = Path(__file__).resolve().parents[1] / "data/golden"
CLOSE = 2e-3


@dataclass(frozen=True)
class Case:
    """One node of a pack on the MODEL, and what must come of it beside the mask."""

    pack: str
    node: str
    expected: str
    inputs: dict[str, Any] = field(default_factory=dict)


FBCACHE = {"object_to_patch": "diffusion_model", "residual_diff_threshold": 0.1, "start": 0.0, "end": 1.0}
CASES = (
    Case("ComfyUI-Fluxtapoz", "ConfigureModifiedFlux", "swallowed"),
    Case("RES4LYF", "ReFluxPatcher", "swallowed", {"style_dtype": "float32", "enable": True}),
    Case(
        "ComfyUI-TeaCache", "TeaCache", "changed", {"model_type": "flux", "rel_l1_thresh": 0.4, "cache_device": "cpu"}
    ),
    Case("Comfy-WaveSpeed", "ApplyFBCacheOnModel", "changed", FBCACHE | {"max_consecutive_cache_hits": -1}),
    Case("ComfyUI_essentials", "ModelCompile+", "same", {"fullgraph": False, "dynamic": False, "mode": "default"}),
)


class Bench:
    """The golden model with its mask, and a short run of it."""

    def __init__(self, comfy: Comfy) -> None:
        import shutil

        from support import masked, tiny

        self.comfy, self.masked, self.tiny = comfy, masked, tiny
        for folder, name in (("mogle", "global_local_mask_moe.pt"), ("loras", "pytorch_lora_weights.safetensors")):
            (comfy.base / "models" / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(GOLDEN / name, comfy.base / "models" / folder)
        masks = comfy.module("mogle_core.masks.decouple").Decoupled(masked.mask_ids(1))
        self.latents = comfy.node("MoGLEEncode")(masks=masks, vae=tiny.tiny_vae(), width=0, height=0)[0]

    def gated(self, model: Any) -> tuple[Any, list]:
        (mogle,) = self.comfy.node("MoGLELoader")(mogle_name="global_local_mask_moe.pt")
        lora = {"lora_name": "pytorch_lora_weights.safetensors", "strength": 1.0}
        (model,) = self.comfy.node("MoGLELoRAApply")(model=model, **lora)
        model, positive, *_ = self.comfy.node("MoGLEGatedCondition")(
            model=model, positive=self.masked.POSITIVE, mogle=mogle, mask_latents=self.latents
        )
        return model, positive

    def run(self, model: Any, positive: list) -> Any:
        return self.masked.run(model, positive, steps=6)


def load(pack: Path) -> str:
    """Loads a pack into ComfyUI. Returns the error message if that fails."""
    from aiohttp import web
    from server import PromptServer

    import nodes

    if not hasattr(PromptServer, "instance"):  # some packs add routes when they are imported
        PromptServer.instance = SimpleNamespace(routes=web.RouteTableDef(), add_on_prompt_handler=lambda handler: None)
    log = LoadLog()
    logging.getLogger().addHandler(log)
    try:
        loaded = asyncio.run(nodes.load_custom_node(str(pack)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        logging.getLogger().removeHandler(log)
    return "" if loaded else (log.lines or ["no nodes"])[-1].splitlines()[-1]


def outcome(result: Any, masked: Any, alone: Any, log: LoadLog) -> str:
    """What came of a run beside what the mask, and what the pack, gives without the other."""
    import torch

    if torch.allclose(result, masked, atol=CLOSE):
        return "same"
    if torch.allclose(result, alone, atol=CLOSE):
        return "swallowed" if any("No block of this model saw the mask" in line for line in log.lines) else "SILENT"
    return "changed"


def measure(bench: Bench, case: Case, order: str) -> str:
    """One case, on a model of its own: some packs change the model for good."""
    import comfy.model_management

    def apply(model: Any) -> Any:
        return bench.comfy.node(case.node)(model=model, **case.inputs)[0]

    masked = bench.run(*bench.gated(bench.tiny.golden_flux()))
    alone = bench.run(apply(bench.tiny.golden_flux()), bench.masked.POSITIVE)
    comfy.model_management.unload_all_models()
    log = LoadLog()
    logging.getLogger().addHandler(log)
    try:
        if order == "before":
            result = bench.run(*bench.gated(apply(bench.tiny.golden_flux())))
        else:
            model, positive = bench.gated(bench.tiny.golden_flux())
            result = bench.run(apply(model), positive)
    finally:
        logging.getLogger().removeHandler(log)
    return outcome(result, masked, alone, log)


def attempt(work: Callable[[], str]) -> str:
    try:
        return work()
    except Exception as error:  # the pack's own failure is a result
        return f"failed: {type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(__doc__)
        return 2
    comfy = boot(hosts.choose())
    bench, wrong = Bench(comfy), 0
    print(f"{hosts.choose().name}\n{'pack':<22} {'node':<24} {'order':<7} {'expected':<10} came")
    for case in CASES:
        folder = Path(arguments[0]).absolute() / case.pack
        why = load(folder) if folder.is_dir() else "not there"
        for order in ("before", "after"):
            came = f"not loaded: {why[:80]}" if why else attempt(lambda c=case, o=order: measure(bench, c, o))
            right = came == case.expected
            wrong += not why and not right and not came.startswith("failed")
            verdict = "right" if right else "-" if why or came.startswith("failed") else "WRONG"
            print(f"{case.pack:<22} {case.node:<24} {order:<7} {case.expected:<10} {came}  {verdict}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
