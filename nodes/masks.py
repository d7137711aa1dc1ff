"""Mask Decouple and MoGLE Encode: from a stored mask to the latents of its 20 masks."""

from __future__ import annotations

import logging

from comfy_api.latest import io, ui
from torch import Tensor

from ..mogle_core.masks.decouple import Decoupled, LocalMasks, colours, decode_tensor, regions
from ..mogle_core.masks.labels import LABEL_SPACES
from ..mogle_core.model.mixture import mask_latents as encode
from . import host, inputs, sockets

logger = logging.getLogger(__name__)

# This cache lives across runs: after one region was repainted, only the masks that changed are encoded again.
LATENTS = encode.LatentCache()


class MaskDecouple(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMaskDecouple",
            display_name="Mask Decouple",
            category="MoGLE",
            description="Splits a semantic face mask into one full mask and 19 class masks.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="A label map, for example from Load Image: colours of the CelebAMask-HQ palette, or "
                    "grey class ids from 0 to 18. It can have any size and can be a batch.",
                ),
                io.Combo.Input(
                    "label_space",
                    options=["auto", *LABEL_SPACES],
                    default="auto",
                    tooltip="The class numbering of the mask. auto recognises the palettes of common tools, and "
                    "guesses the numbering of grey ids of three or more classes; check the preview.",
                ),
                io.Combo.Input(
                    "local_masks",
                    options=["correct", "blank"],
                    default="correct",
                    tooltip="correct: each class has its mask, as in training. blank: all 19 class masks are black, "
                    "as in the official inference script; choose it to reproduce the published images.",
                ),
            ],
            outputs=[
                sockets.Masks.Output(display_name="masks", tooltip="The 20 masks, for MoGLE Encode."),
                io.Image.Output(display_name="preview", tooltip="The mask in palette colours."),
                io.Mask.Output(
                    display_name="regions", tooltip="19 masks, one per class in order; 19 for each image of a batch."
                ),
            ],
            **host.newer_fields(search_aliases=["face mask", "label map", "segmentation"]),
        )

    @classmethod
    def execute(cls, image: Tensor, label_space: str, local_masks: LocalMasks) -> io.NodeOutput:
        label_map = decode_tensor(image, label_space)
        logger.info("Mask Decouple: %s", label_map.summary())
        if (doubt := label_map.doubt()) is not None:
            logger.warning("Mask Decouple: %s", doubt)
        masks = Decoupled(label_map.ids, local_masks)
        shown = ui.PreviewText(doubt) if doubt is not None else None
        return io.NodeOutput(masks, colours(masks.ids), regions(masks.ids).flatten(0, 1), ui=shown)


class Encode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEEncode",
            display_name="MoGLE Encode",
            category="MoGLE",
            description="Encodes the masks with FLUX.1's VAE. Each distinct mask is encoded once and cached.",
            inputs=[
                sockets.Masks.Input("masks", tooltip="From Mask Decouple."),
                io.Vae.Input("vae", tooltip="FLUX.1's VAE (ae.safetensors)."),
                inputs.side("width", "the mask's width"),
                inputs.side("height", "the mask's height"),
                inputs.sampled_latent(),
            ],
            outputs=[
                sockets.MaskLatents.Output(display_name="mask_latents", tooltip="For Gated Condition."),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The latent that was connected, or an empty one of the masks' size, for the sampler.",
                ),
            ],
            **host.newer_fields(search_aliases=["mask vae encode"]),
        )

    @classmethod
    def execute(
        cls, masks: Decoupled, vae: host.VAE, width: int, height: int, latent: host.Latent | None = None
    ) -> io.NodeOutput:
        if latent is not None:
            width, height = host.pixel_size(latent)
            masks = masks.of(host.batch_places(latent, masks.batch))
        width, height = width or masks.width, height or masks.height
        encode.check_size(width, height)
        latents = encode.encode(masks.resized(height, width), host.mask_encoder(vae), LATENTS, host.identity(vae))
        return io.NodeOutput(latents, host.empty_latent(latents) if latent is None else latent)
