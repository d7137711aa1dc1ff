"""The nodes of ComfyUI-MoGLE: one theme a file, the work in `mogle_core`, the host's ways in `host`."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host
from .condition import GatedCondition, RegionControl
from .load import LoadMoGLE, LoRAApply
from .masks import Encode, MaskDecouple

NODES: list[type[io.ComfyNode]] = [
    LoadMoGLE,
    MaskDecouple,
    Encode,
    GatedCondition,
    LoRAApply,
    RegionControl,
]


class MoGLEExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        host.register_models_folder()
        return NODES
