"""Load MoGLE and LoRA Apply: the two files that make FLUX.1 follow a mask."""

from __future__ import annotations

import logging
from typing import Literal

import folder_paths
from comfy_api.latest import io

from ..mogle_core.model.checkpoints import files as weights
from ..mogle_core.model.checkpoints.lora_metadata import style_of
from . import host, inputs, sockets

logger = logging.getLogger(__name__)


class LoadMoGLE(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLELoader",
            display_name="Load MoGLE",
            category="MoGLE",
            description="Loads the Face-MoGLE network: 20 small experts and the gate that blends them.",
            inputs=[
                io.Combo.Input(
                    "mogle_name",
                    options=folder_paths.get_filename_list(host.MOGLE_FOLDER),
                    tooltip="A file in models/mogle: the published global_local_mask_moe.pt, the trainer's mogle.pt, "
                    "or a .safetensors that holds both network and LoRA.",
                ),
                io.Combo.Input(
                    "gate_timestep",
                    options=["auto", "sampling", "training"],
                    default="auto",
                    tooltip="The time value that the gate receives. sampling: sigma x 1000. training: sigma from 0 "
                    "to 1. auto: what the file's metadata says; for the published checkpoint, sampling, as in the "
                    "official inference.",
                ),
            ],
            outputs=[
                sockets.Mogle.Output(display_name="mogle", tooltip="The network and its settings, for Gated Condition.")
            ],
            **host.newer_fields(search_aliases=["face mask", "semantic mask", "face mogle"]),
        )

    @classmethod
    def validate_inputs(cls, mogle_name: str | None = None) -> bool | str:
        remedy = "Put Face-MoGLE's global_local_mask_moe.pt into models/mogle"
        return inputs.is_valid(mogle_name, lambda name: host.file_complaint(host.MOGLE_FOLDER, name, remedy))

    @classmethod
    def fingerprint_inputs(cls, mogle_name: str = "", **others: object) -> str:
        return host.file_state(host.MOGLE_FOLDER, mogle_name)

    @classmethod
    def execute(cls, mogle_name: str, gate_timestep: Literal["auto", "sampling", "training"]) -> io.NodeOutput:
        path = folder_paths.get_full_path_or_raise(host.MOGLE_FOLDER, mogle_name)
        return io.NodeOutput(host.load_mogle(path, gate_timestep))


class LoRAApply(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLELoRAApply",
            display_name="LoRA Apply",
            category="MoGLE",
            description="Applies Face-MoGLE's LoRA to the mask stream. It acts on the mask tokens only and is never "
            "merged into the model, so other LoRAs work alongside it.",
            inputs=[
                io.Model.Input("model", tooltip="FLUX.1 from any loader, before or after Gated Condition."),
                io.Combo.Input(
                    "lora_name",
                    options=folder_paths.get_filename_list("loras"),
                    tooltip="Face-MoGLE's pytorch_lora_weights.safetensors in models/loras. Load style LoRAs with "
                    "ComfyUI's Load LoRA instead.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How strongly the LoRA acts on the mask tokens. 1 is the trained value.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The model with the LoRA for the mask stream.")],
            **host.newer_fields(search_aliases=["mogle lora", "mask lora"]),
        )

    @classmethod
    def validate_inputs(cls, lora_name: str | None = None) -> bool | str:
        remedy = "Put Face-MoGLE's pytorch_lora_weights.safetensors into models/loras"
        return inputs.is_valid(lora_name, lambda name: host.file_complaint("loras", name, remedy))

    @classmethod
    def fingerprint_inputs(cls, lora_name: str = "", **others: object) -> str:
        return host.file_state("loras", lora_name)

    @classmethod
    def execute(cls, model: host.ModelPatcher, lora_name: str, strength: float) -> io.NodeOutput:
        path = folder_paths.get_full_path_or_raise("loras", lora_name)
        checkpoint = weights.read_lora(path)
        if (style := style_of(checkpoint.metadata)) is not None:
            logger.warning(
                "LoRA Apply: the metadata of %s describes an ordinary LoRA (%s). Here it acts on the mask tokens only: "
                "load a style with ComfyUI's Load LoRA, and give LoRA Apply Face-MoGLE's LoRA.",
                lora_name,
                style,
            )
        return io.NodeOutput(host.attach_lora(model, checkpoint.lora, strength, path))
