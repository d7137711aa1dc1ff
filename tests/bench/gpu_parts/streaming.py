"""ComfyUI with less memory than the model needs, each of its ways in a process: the same pictures, weights streamed."""

from __future__ import annotations

from typing import Any

import torch
from support.gpu_host import NoHostError, booted
from support.host_scene import Scene
from support.rows import Rows, relative

DRIFT = 1e-4
CPU = torch.device("cpu")
SHARES = {"lowvram": 0.4, "novram": 0.0}
"""Of the weights, how much the loader may keep on the device."""


def run(rows: Rows, way: str) -> None:
    if way == "dynamicvram" and not rows.cuda:
        rows.skip("DynamicVRAM", "it needs an NVIDIA card")
        return
    with rows.attempt(way):
        try:
            comfy = booted(rows, **({way: True} if way in SHARES and rows.cuda else {}))
        except NoHostError as error:
            rows.skip("all of it", str(error))
            return
        if way == "dynamicvram" and not _dynamic(rows):
            return
        _compared(rows, Scene(comfy), way)


def _dynamic(rows: Rows) -> bool:
    """As ComfyUI's main.py turns it on."""
    import comfy.memory_management
    import comfy.model_management
    import comfy.model_patcher
    import comfy_aimdo.control

    device = comfy.model_management.get_torch_device()
    index = torch.cuda.current_device() if device.index is None else device.index
    if not comfy_aimdo.control.init_devices([(index, 0)]):
        rows.skip("DynamicVRAM", "comfy-aimdo does not work here")
        return False
    comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic
    comfy.memory_management.aimdo_enabled = True
    return True


def _compared(rows: Rows, scene: Scene, way: str) -> None:
    from support import tiny
    from support.masked import POSITIVE, run
    from support.small_weights import TINY, lora_weights

    style, masks = lora_weights(TINY, seed=3, rank=2), scene.latents(1)

    def sampled(**options: Any) -> tuple[Any, Any]:
        model, positive, *_ = scene.gated(tiny.with_lora(tiny.golden_flux(**options), style, 0.8), POSITIVE, masks)
        return model, run(model, positive)

    _, expected = sampled(device=CPU)
    if way in SHARES:
        _starve(SHARES[way])
    model, found = sampled()
    rows.check(f"{way}: as on the CPU", relative(found, expected), DRIFT, "of it")
    held, whole = model.loaded_size(), model.model_size()
    if way == "dynamicvram":
        handled = sum(hasattr(module, "_v") for module in model.model.diffusion_model.modules())
        rows.holds(f"{way}: weights are faulted in", model.is_dynamic() and handled > 0, layers=handled)
    else:
        blocks = [*model.model.diffusion_model.double_blocks, *model.model.diffusion_model.single_blocks]
        streamed = sum(getattr(m, "comfy_cast_weights", False) for block in blocks for m in block.modules())
        rows.holds(f"{way}: weights are streamed", streamed > 0 and held < 0.7 * whole, layers=streamed)
    rows.tell(f"{way}: weights on the device at the end", held / whole, "of all")


def _starve(share: float) -> None:
    """The loader is told of a card that is as much too small: a whole golden model fits on any."""
    import comfy.model_management

    load = comfy.model_management.LoadedModel.model_load

    def starved(loaded: Any, budget: float = 0, *args: Any, **more: Any) -> Any:
        return load(loaded, max(0.1, share * loaded.model.model_size()), *args, **more)

    comfy.model_management.LoadedModel.model_load = starved
