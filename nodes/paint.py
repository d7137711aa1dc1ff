"""Mask Painter: the editor's painting, or the mask it would start from, as a mask."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..mogle_core.masks.decode import MaskError
from ..mogle_core.masks.decouple import colours, decode_tensor
from ..mogle_core.masks.painting import on_grid, read_painting, write_painting
from . import host, sockets

NOTHING = (
    "Nothing is painted and no mask is connected. Open the editor with Mask Painter's button and paint, or choose "
    "one of its faces; or connect a mask."
)


class MaskPainter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMaskPainter",
            display_name="Mask Painter",
            category="MoGLE",
            description="Paint a face's label map, region by region. The painting is kept in the workflow.",
            inputs=[
                sockets.Painting.Input(
                    "painting",
                    tooltip="The label map. Paint opens the editor; so does a double click on the picture.",
                    extra_dict={"default": ""},
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A photo to lay under the painting, in the editor and in preview. It changes no mask.",
                ),
                io.Image.Input(
                    "mask",
                    optional=True,
                    tooltip="A label map to start from. It is the result for as long as nothing is painted.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="mask", tooltip="The label map in the palette's colours, for Mask Decouple."
                ),
                io.Image.Output(display_name="preview", tooltip="The label map over the photo, if there is one."),
            ],
            # So that a photo and a mask reach the editor before anything comes after the node.
            is_output_node=True,
            **host.newer_fields(search_aliases=["face mask", "paint mask", "label map", "segmentation editor"]),
        )

    @classmethod
    def validate_inputs(cls, painting: object = None) -> bool | str:
        if painting is None:  # it comes by a link and is read when it is there
            return True
        try:
            read_painting(painting)
        except MaskError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, painting: str, image: Tensor | None = None, mask: Tensor | None = None) -> io.NodeOutput:
        painted = read_painting(painting)
        given = None if mask is None else decode_tensor(mask).ids
        for_page = _for_page(image, given)
        ids = given if painted is None else painted[None]
        if ids is None:
            # The photo reaches the editor, and what comes after the node is told why it does not run. Without
            # outputs to replace, ComfyUI would leave the node without any and its queue would die (0.3.64, 0.33).
            return io.NodeOutput(None, None, ui=for_page, block_execution=NOTHING)
        return io.NodeOutput(colours(ids), _preview(ids, image), ui=for_page)


def _for_page(image: Tensor | None, given: Tensor | None) -> dict[str, Any]:
    """What the editor can start from: the photo as a temporary file, the mask as a painting's text."""
    return {
        "mogle_photo": [] if image is None else [dict(saved) for saved in ui.PreviewImage(image[:1]).values],
        "mogle_mask": [] if given is None else [write_painting(on_grid(given[0]))],
    }


def _preview(ids: Tensor, image: Tensor | None) -> Tensor:
    """The colours of ids (B, H, W), half over the first photo stretched to them: (B, H, W, 3)."""
    if image is None:
        return colours(ids)
    photo = image[:1, ..., :3].movedim(-1, 1).to(torch.float32)
    photo = torch.nn.functional.interpolate(photo, ids.shape[1:], mode="bilinear", antialias=True)
    return (colours(ids) + photo.movedim(1, -1)) / 2
