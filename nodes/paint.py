"""Mask Painter: returns the painting from the editor or, if nothing is painted, the connected mask."""

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
    "Nothing is painted and no mask is connected. Press Paint on Mask Painter and paint, or choose one of its faces, "
    "or connect a mask."
)


class MaskPainter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMaskPainter",
            display_name="Mask Painter",
            category="MoGLE",
            description="Paints a face mask in the browser, region by region. The painting is stored in the workflow.",
            inputs=[
                sockets.Painting.Input(
                    "painting",
                    tooltip="The label map. Press Paint or double-click the image to open the editor.",
                    extra_dict={"default": ""},
                ),
                # In the order of the outputs: a bypassed node passes the mask on as the mask.
                io.Image.Input(
                    "mask",
                    optional=True,
                    tooltip="A label map to start from. It is the output until you paint something.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A photo to show under the painting, in the editor and in preview. It does not change the "
                    "mask.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="mask", tooltip="The label map in palette colours, for Mask Decouple."),
                io.Image.Output(
                    display_name="preview", tooltip="The label map, drawn over the photo if one is connected."
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            # An output node runs alone: photo and mask reach the editor before anything is connected behind it.
            is_output_node=True,
            **host.newer_fields(search_aliases=["face mask", "paint mask", "label map", "segmentation editor"]),
        )

    @classmethod
    def validate_inputs(cls, painting: object = None) -> bool | str:
        if painting is None:  # it is linked, and is read when the node runs
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
            if host.is_used(cls.hidden.prompt, cls.hidden.unique_id):
                host.show(cls.hidden.unique_id, for_page)  # the photo still reaches the editor
                raise ValueError(NOTHING)
            # Run alone, to bring the photo into the editor. The two None stand for the outputs: without them
            # ComfyUI's queue would die (0.3.64, 0.33).
            return io.NodeOutput(None, None, ui=for_page, block_execution=NOTHING)
        return io.NodeOutput(colours(ids), _preview(ids, image), ui=for_page)


def _for_page(image: Tensor | None, given: Tensor | None) -> dict[str, Any]:
    """What the editor can start from: the photo as a temporary file, the mask in the text form of a painting."""
    return {
        "mogle_photo": [] if image is None else [dict(saved) for saved in ui.PreviewImage(image[:1]).values],
        "mogle_mask": [] if given is None else [write_painting(on_grid(given[0]))],
    }


def _preview(ids: Tensor, image: Tensor | None) -> Tensor:
    """The colours of ids (B, H, W), blended half and half with the first photo, stretched to fit: (B, H, W, 3)."""
    if image is None:
        return colours(ids)
    photo = image[:1, ..., :3].movedim(-1, 1).to(torch.float32)
    photo = torch.nn.functional.interpolate(photo, ids.shape[1:], mode="bilinear", antialias=True)
    return (colours(ids) + photo.movedim(1, -1)) / 2
