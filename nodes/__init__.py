"""The nodes of ComfyUI-MoGLE: one file per theme. `mogle_core` does the work, `host` knows ComfyUI's internals."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host
from .condition import GatedCondition, RegionControl
from .edit import GetRegion, MaskEdit, MorphMask, SetRegion
from .errors import with_plain_errors
from .further import AddCondition, FaceSketch
from .gates import GateMaps
from .load import LoadMoGLE, LoRAApply
from .masks import Encode, MaskDecouple
from .paint import MaskPainter
from .parse import AlignFace, MaskScore, ParseFace, UnalignFace
from .prompt import RegionPrompting
from .stored import LoadMasks, SaveMasks
from .toy import ToyPrompt

NODES: list[type[io.ComfyNode]] = [
    LoadMoGLE,
    MaskPainter,
    MaskDecouple,
    Encode,
    AddCondition,
    FaceSketch,
    SaveMasks,
    LoadMasks,
    GatedCondition,
    LoRAApply,
    RegionControl,
    RegionPrompting,
    GateMaps,
    ParseFace,
    AlignFace,
    UnalignFace,
    MaskScore,
    MaskEdit,
    SetRegion,
    GetRegion,
    MorphMask,
    ToyPrompt,
]


class MoGLEExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        host.warn_of_unknown_interfaces()
        host.register_models_folders()
        host.add_routes()
        host.mark_prompts()
        host.mark_empty_painters()
        return [with_plain_errors(node) for node in NODES]
