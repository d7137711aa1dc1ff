"""Other people's packs beside this one: each is loaded into a real ComfyUI, and what it does to FLUX.1 is measured.

    python tests/host/packs_matrix.py PACKS_DIR [WORD]

PACKS_DIR holds the packs, each in a folder with its repository's name; it is never part of this repository. A pack's
own requirements have to be installed. WORD: only the packs and nodes whose names contain it. The node of a pack is put
before and after Gated Condition, and the result is compared with what it must be:

    same       the mask's own result: the pack changes nothing, or only how it is computed
    changed    neither the mask's result nor the pack's without the mask: both have their effect
    named      the mask's own result, and the log names whose effect is lost
    swallowed  the pack's result without the mask, and the log names what swallowed it

`fails alone`: the pack does not run in this ComfyUI, with or without a mask. Exits with 1 if a pack that runs alone
came out wrong.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "shared"), str(Path(__file__).resolve().parents[2])]

import packs_by_hand
from support import hosts
from support.in_process import Comfy, LoadLog, boot

GOLDEN = Path(__file__).resolve().parents[1] / "data/golden"
CLOSE = 2e-3


@dataclass(frozen=True)
class Case:
    """One node of a pack on the MODEL, and what must come of it beside the mask.

    gate: inputs of Gated Condition. by_hand: (pack, MODEL) -> MODEL in the node's place. reference: MODEL -> the MODEL
    of the expected result, where the pack brings its own weights; such a pack can only come before.
    """

    pack: str
    node: str
    expected: str
    inputs: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    by_hand: Callable[[ModuleType, Any], Any] | None = None
    reference: Callable[[Any], Any] | None = None

    @property
    def orders(self) -> tuple[str, ...]:
        return ("before", "after") if self.reference is None else ("before",)


FBCACHE = {"object_to_patch": "diffusion_model", "residual_diff_threshold": 0.1, "start": 0.0, "end": 1.0}
COMPILE = {"fullgraph": False, "dynamic": False, "mode": "default"}
BLOCKS = {"double_blocks": True, "single_blocks": True, "backend": "inductor"}
GGUF_TYPES = ("F32", "F16", "Q8_0", "Q4_0")
CASES = (
    Case("ComfyUI-Fluxtapoz", "ConfigureModifiedFlux", "swallowed"),
    Case("RES4LYF", "ReFluxPatcher", "swallowed", {"style_dtype": "float32", "enable": True}),
    Case(
        "ComfyUI-TeaCache", "TeaCache", "changed", {"model_type": "flux", "rel_l1_thresh": 0.4, "cache_device": "cpu"}
    ),
    Case("Comfy-WaveSpeed", "ApplyFBCacheOnModel", "changed", FBCACHE | {"max_consecutive_cache_hits": -1}),
    Case("ComfyUI-IPAdapter-Flux", "ApplyIPAdapterFlux", "named", by_hand=packs_by_hand.ip_adapter),
    Case("x-flux-comfyui", "LoadFluxLora", "named", by_hand=packs_by_hand.x_flux_lora),
    Case("ComfyUI-KJNodes", "PathchSageAttentionKJ", "same", gate={"strength": 0.3}, by_hand=packs_by_hand.sage),
    Case(
        "ComfyUI-KJNodes", "PatchModelPatcherOrder", "same", {"patch_order": "weight_patch_first", "full_load": "auto"}
    ),
    Case("ComfyUI-KJNodes", "ModelPatchTorchSettings", "same", {"enable_fp16_accumulation": False}),
    *(
        Case(
            "ComfyUI-GGUF",
            f"UnetLoaderGGUF {kind}",
            "same",
            by_hand=partial(packs_by_hand.gguf_loaded, kind),
            reference=partial(packs_by_hand.gguf_rounded, kind),
        )
        for kind in GGUF_TYPES
    ),
    Case("ComfyUI-KJNodes", "TorchCompileModelFluxAdvancedV2", "same", COMPILE | BLOCKS),
    Case("ComfyUI_essentials", "ModelCompile+", "same", COMPILE),
)


class Bench:
    """The golden model with its mask, and a short run of it."""

    def __init__(self, comfy: Comfy) -> None:
        from support import masked, tiny
        from support.host_scene import Scene

        self.comfy, self.masked, self.tiny, self.scene = comfy, masked, tiny, Scene(comfy)
        self.latents = self.scene.latents(1)

    def gated(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, list]:
        return self.scene.gated(model, self.masked.POSITIVE, self.latents, **inputs)[:2]

    def run(self, model: Any, positive: list) -> Any:
        return self.masked.run(model, positive, steps=6)


def load(pack: Path) -> str:
    """Loads a pack into ComfyUI. Returns the error message if that fails."""
    from aiohttp import web
    from server import PromptServer

    import nodes

    if not hasattr(PromptServer, "instance"):  # some packs add routes when they are imported
        PromptServer.instance = MagicMock(routes=web.RouteTableDef())
    log = LoadLog()
    logging.getLogger().addHandler(log)
    try:
        loaded = asyncio.run(nodes.load_custom_node(str(pack)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        logging.getLogger().removeHandler(log)
    return "" if loaded else (log.lines or ["no nodes"])[-1].splitlines()[-1]


def module_of(pack: Path) -> ModuleType:
    """The pack as ComfyUI imported it."""
    file = str(pack / "__init__.py")
    return next(module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == file)


def outcome(result: Any, masked: Any, alone: Any, log: LoadLog) -> str:
    """What came of a run beside what the mask, and what the pack, gives without the other."""
    import torch

    if torch.allclose(result, masked, atol=CLOSE):
        return "named" if any("no effect beside the mask" in line for line in log.lines) else "same"
    if torch.allclose(result, alone, atol=CLOSE):
        return "swallowed" if any("No block of this model saw the mask" in line for line in log.lines) else "SILENT"
    return "changed"


def measure(bench: Bench, case: Case, order: str, pack: ModuleType) -> str:
    """One case, on a model of its own: some packs change the model for good."""
    import comfy.model_management

    def apply(model: Any) -> Any:
        if case.by_hand is not None:
            return case.by_hand(pack, model)
        return bench.comfy.node(case.node)(model=model, **case.inputs)[0]

    golden = bench.tiny.golden_flux
    masked = bench.run(*bench.gated(golden() if case.reference is None else case.reference(golden()), case.gate))
    try:
        alone = bench.run(apply(golden()), bench.masked.POSITIVE)
    except Exception as error:  # the pack's own failure
        return f"fails alone: {short(error)}"
    comfy.model_management.unload_all_models()
    log = LoadLog()
    logging.getLogger().addHandler(log)
    try:
        if order == "before":
            result = bench.run(*bench.gated(apply(golden()), case.gate))
        else:
            model, positive = bench.gated(golden(), case.gate)
            result = bench.run(apply(model), positive)
    finally:
        logging.getLogger().removeHandler(log)
    return outcome(result, masked, alone, log)


def short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"


def attempt(work: Callable[[], str]) -> str:
    try:
        return work()
    except Exception as error:  # only beside the mask
        return f"FAILED: {short(error)}"


def without_cuda() -> None:
    """Some packs move tensors to CUDA without asking whether there is one."""
    import torch

    if not torch.cuda.is_available():
        setattr(torch.Tensor, "cuda", lambda self, *ignored, **more: self)  # noqa: B010


def main(arguments: list[str]) -> int:
    if not arguments or len(arguments) > 2 or not Path(arguments[0]).is_dir():
        print(__doc__)
        return 2
    word = arguments[1] if len(arguments) > 1 else ""
    comfy = boot(hosts.choose())
    without_cuda()
    bench, wrong = Bench(comfy), 0
    reasons: dict[str, str] = {}
    print(f"{hosts.choose().name}\n{'pack':<22} {'node':<32} {'order':<7} {'expected':<10} came")
    for case in CASES:
        if word.lower() not in f"{case.pack} {case.node}".lower():
            continue
        folder = Path(arguments[0]).absolute() / case.pack
        if case.pack not in reasons:
            reasons[case.pack] = load(folder) if folder.is_dir() else "not there"
        why = reasons[case.pack]
        for order in case.orders:
            came = (
                f"not loaded: {why[:80]}"
                if why
                else attempt(lambda c=case, o=order, f=folder: measure(bench, c, o, module_of(f)))
            )
            unable = bool(why) or came.startswith("fails alone")
            wrong += not unable and came != case.expected
            verdict = "-" if unable else "right" if came == case.expected else "WRONG"
            print(f"{case.pack:<22} {case.node:<32} {order:<7} {case.expected:<10} {came}  {verdict}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
