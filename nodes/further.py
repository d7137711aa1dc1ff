"""Add Condition and Face Sketch: a sketch or landmarks beside the mask, in the same stream."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..mogle_core.masks.decode import decode_tensor
from ..mogle_core.masks.decouple import Decoupled
from ..mogle_core.model.conditions import KINDS, landmarks, lines
from ..mogle_core.model.mixture import mask_latents as encode
from ..mogle_core.model.mixture.mask_latents import MaskLatents
from . import host, inputs, sockets

# As MoGLE Encode's: it lives across runs, so that only a changed picture is encoded again.
LATENTS = encode.LatentCache()


class AddCondition(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEAddCondition",
            display_name="Add Condition",
            category="MoGLE",
            description="Adds a sketch or landmarks to the mask, or uses them without a mask. The network needs an "
            "expert for them: Face-MoGLE's published one has none.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The input: "
                    + "; ".join(f"for {kind.title}, {kind.about}" for kind in KINDS.values())
                    + ". It is resized.",
                ),
                io.Combo.Input("kind", options=list(KINDS), default=next(iter(KINDS)), tooltip="What the image shows."),
                io.Vae.Input("vae", tooltip="FLUX.1's VAE (ae.safetensors)."),
                inputs.side("width", "the mask's width, or without a mask the input image's"),
                inputs.side("height", "the mask's height, or without a mask the input image's"),
                inputs.sampled_latent(),
                sockets.MaskLatents.Input(
                    "mask_latents",
                    optional=True,
                    tooltip="From MoGLE Encode, or from another Add Condition. Without it the masks are black.",
                ),
                io.String.Input(
                    "points",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="For landmarks: points as JSON, used instead of the image. 68 in dlib's order, 468 or 478 "
                    "in MediaPipe's, or a list for each line's name; each point is [x, y] from 0 to 1.",
                    **host.newer_input_fields(advanced=True),
                ),
            ],
            outputs=[
                sockets.MaskLatents.Output(
                    display_name="mask_latents", tooltip="The masks with the condition, for Gated Condition."
                )
            ],
            **host.newer_fields(search_aliases=["sketch condition", "landmark condition", "scribble", "lineart"]),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        kind: str,
        vae: host.VAE,
        width: int,
        height: int,
        latent: host.Latent | None = None,
        mask_latents: MaskLatents | None = None,
        points: str = "",
    ) -> io.NodeOutput:
        width, height = _size(image, width, height, latent, mask_latents)
        encode.check_size(width, height, "Add Condition", "picture")
        encoder, owner = host.mask_encoder(vae), host.identity(vae)
        if points.strip() and kind == landmarks.KIND.name:
            pictures = landmarks.draw(landmarks.read_points(points), (height, width))[None]
        else:
            pictures = KINDS[kind].picture(image, (height, width))
        if mask_latents is None:
            blank = Decoupled(torch.zeros(1, height, width, dtype=torch.uint8), "blank")
            mask_latents = MaskLatents(encode.encode(blank, encoder, LATENTS, owner).latents)
        latents = encode.encode_condition(pictures, encoder, LATENTS, kind, owner)
        return io.NodeOutput(mask_latents.with_condition(kind, latents.to(mask_latents.latents)))


def _size(
    image: Tensor, width: int, height: int, latent: host.Latent | None, masks: MaskLatents | None
) -> tuple[int, int]:
    """Width and height: of the latent, as stated, of the masks, or of the image."""
    if latent is not None:
        return host.pixel_size(latent)
    whole = (image.shape[2], image.shape[1]) if masks is None else masks.size
    return width or whole[0], height or whole[1]


class FaceSketch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEFaceSketch",
            display_name="Face Sketch",
            category="MoGLE",
            description="Draws a sketch of a photo or of a label map, white lines on black.",
            inputs=[
                io.Image.Input("image", tooltip="A photo, or for outlines a label map."),
                io.Combo.Input(
                    "style",
                    options=list(lines.STYLES),
                    default=lines.STYLES[0],
                    tooltip="shading: lines where a pencil would shade (extended difference of Gaussians). edges: a "
                    "line at each edge. outlines: the borders between the classes of a label map.",
                ),
                io.Float.Input(
                    "line_width",
                    default=1.5,
                    min=0.5,
                    max=16.0,
                    step=0.25,
                    tooltip="Width of the lines, in 256ths of the image's shorter side.",
                ),
                io.Float.Input(
                    "detail",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 draws only strong lines, 1 also faint ones. It has no effect on outlines.",
                ),
            ],
            outputs=[io.Image.Output(display_name="sketch", tooltip="White lines on black, for Add Condition.")],
            **host.newer_fields(search_aliases=["lineart", "edge detection", "xdog", "canny"]),
        )

    @classmethod
    def execute(cls, image: Tensor, style: str, line_width: float, detail: float) -> io.NodeOutput:
        if style == "outlines":
            drawn = lines.outlines(decode_tensor(image).ids, line_width)
        else:
            drawn = {"shading": lines.shading, "edges": lines.edges}[style](image, line_width, detail)
        return io.NodeOutput(drawn[..., None].expand(-1, -1, -1, 3).contiguous())
