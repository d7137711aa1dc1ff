"""Save Masks and Load Masks: encoded masks in a file, as core saves and loads latents."""

from __future__ import annotations

from comfy_api.latest import io

from ..mogle_core.model.mixture.mask_latents import MaskLatents
from . import host, inputs, sockets


class SaveMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLESaveMasks",
            display_name="Save Masks",
            category="MoGLE",
            description="Saves encoded masks to ComfyUI's output folder, as Save Latent saves a latent. Load Masks "
            "reads them back, without a VAE.",
            inputs=[
                sockets.MaskLatents.Input("mask_latents", tooltip="From MoGLE Encode."),
                io.String.Input(
                    "filename_prefix",
                    default=host.MASKS_PREFIX,
                    tooltip="Where the file goes in the output folder, and how its name begins. A number and "
                    f"{host.MASKS_ENDING} follow.",
                ),
            ],
            outputs=[
                sockets.MaskLatents.Output(display_name="mask_latents", tooltip="The same masks, for Gated Condition.")
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            **host.newer_fields(search_aliases=["export masks", "save encoded masks"]),
        )

    @classmethod
    def execute(cls, mask_latents: MaskLatents, filename_prefix: str) -> io.NodeOutput:
        saved = host.save_masks(mask_latents, filename_prefix, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        return io.NodeOutput(mask_latents, ui={"latents": [saved]})


class LoadMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLELoadMasks",
            display_name="Load Masks",
            category="MoGLE",
            description="Loads encoded masks that Save Masks wrote. Needs neither the label map nor a VAE.",
            inputs=[
                io.Combo.Input(
                    "masks_name",
                    options=host.masks_choices(),
                    tooltip=f"A file in ComfyUI's input folder or in output/masks whose name ends in "
                    f"{host.MASKS_ENDING}.",
                )
            ],
            outputs=[
                sockets.MaskLatents.Output(display_name="mask_latents", tooltip="For Gated Condition."),
                io.Latent.Output(
                    display_name="latent", tooltip="An empty latent of the masks' size and number, for the sampler."
                ),
            ],
            **host.newer_fields(search_aliases=["import masks", "load encoded masks"]),
        )

    @classmethod
    def validate_inputs(cls, masks_name: str | None = None) -> bool | str:
        return inputs.is_valid(masks_name, host.masks_complaint)

    @classmethod
    def fingerprint_inputs(cls, masks_name: str = "", **others: object) -> str:
        return host.masks_state(masks_name)

    @classmethod
    def execute(cls, masks_name: str) -> io.NodeOutput:
        masks = host.load_masks(masks_name)
        return io.NodeOutput(masks, host.empty_latent(masks))
