"""A masked portrait in a running ComfyUI, by the nodes: what tests and benchmarks of the host begin with."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

from support.in_process import Comfy
from support.places import DATA

GOLDEN = DATA / "golden"
NETWORK, LORA = "global_local_mask_moe.pt", "pytorch_lora_weights.safetensors"


class Scene:
    """Golden network and LoRA in the host's folders, masks through MoGLE Encode, models through Gated Condition."""

    def __init__(self, comfy: Comfy) -> None:
        self.comfy = comfy

    @cached_property
    def models(self) -> Path:
        """The host's models folder, with network and LoRA where the nodes look for them."""
        models = self.comfy.base / "models"
        for folder, name in (("mogle", NETWORK), ("loras", LORA)):
            (models / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(GOLDEN / name, models / folder)
        return models

    @cached_property
    def vae(self) -> Any:
        from support import tiny

        return tiny.tiny_vae()

    def latents(self, seed: int, batch: int = 1, width: int = 0, height: int = 0) -> Any:
        """MOGLE_LATENTS of random blocks of classes."""
        from support.masked import HEIGHT, WIDTH, mask_ids

        return self.encoded(mask_ids(seed, width or WIDTH, height or HEIGHT, batch))

    def encoded(self, ids: Any) -> Any:
        masks = self.comfy.module("mogle_core.masks.decouple").Decoupled(ids)
        return self.comfy.node("MoGLEEncode")(masks=masks, vae=self.vae, width=0, height=0)[0]

    def gated(self, model: Any, positive: list, masks: Any, lora: float | None = 1.0, **inputs: Any) -> tuple:
        """model, positive, negative, gates of Gated Condition; lora: None leaves LoRA Apply out."""
        _ = self.models
        gate = {"gate_timestep": inputs.pop("gate_timestep")} if "gate_timestep" in inputs else {}
        (mogle,) = self.comfy.node("MoGLELoader")(mogle_name=NETWORK, **gate)
        if lora is not None:
            (model,) = self.comfy.node("MoGLELoRAApply")(model=model, lora_name=LORA, strength=lora)
        return self.comfy.node("MoGLEGatedCondition")(
            model=model, positive=positive, mogle=mogle, mask_latents=masks, **inputs
        )

    def golden(self, case: str, model: Any) -> tuple[Any, list]:
        """The model and the conditioning of a case of the official reference run."""
        from support import tiny
        from support.golden import CASES, SETTINGS

        tensors, settings = CASES[case], SETTINGS[case]
        masks = self.comfy.module("mogle_core.model.mixture.mask_latents").MaskLatents(
            tiny.unpacked(tensors["condition_latents"].flatten(0, 1), *settings["grid"]).unflatten(0, (-1, 20))
        )
        positive = [[tensors["context"], {"pooled_output": tensors["pooled"], "guidance": settings["guidance"]}]]
        gate = "training" if settings.get("gate_timestep", 1000) < 1 else "sampling"
        strength = settings.get("condition_scale", 1.0)
        return self.gated(model, positive, masks, gate_timestep=gate, strength=strength)[:2]
