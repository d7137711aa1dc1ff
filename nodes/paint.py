"""Mask Painter: returns map and sketch from the editor or, where nothing is painted or drawn, what is connected."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..mogle_core.masks.decode import MaskError
from ..mogle_core.masks.decouple import colours, decode_tensor
from ..mogle_core.masks.painting import on_grid, read_planes, sketch_of, write_painting
from . import host, sockets

NOTHING = (
    "Nothing is painted and no mask is connected. Press Paint on Mask Painter and paint, or choose one of its faces, "
    "or connect a mask."
)
NO_SKETCH = (
    "Nothing is drawn and no sketch is connected. Press Paint on Mask Painter and draw with the pencil, or connect a "
    "sketch."
)


class MaskPainter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMaskPainter",
            display_name="Mask Painter",
            category="MoGLE",
            description="Paints a face mask in the browser, region by region, and a sketch with a pencil. Both are "
            "stored in the workflow.",
            inputs=[
                sockets.Painting.Input(
                    "painting",
                    tooltip="The label map and the pencil drawing. Press Paint or double-click the image to open the "
                    "editor.",
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
                io.Image.Input(
                    "sketch",
                    optional=True,
                    tooltip="White lines on black to start from. It is the output until you draw something with the "
                    "pencil.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="mask", tooltip="The label map in palette colours, for Mask Decouple."),
                io.Image.Output(
                    display_name="preview", tooltip="The label map, drawn over the photo if one is connected."
                ),
                io.Image.Output(
                    display_name="sketch",
                    tooltip="The pencil drawing, white lines on black at the size of the painting: for a ControlNet.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            # An output node runs alone: photo and mask reach the editor before anything is connected behind it.
            is_output_node=True,
            **host.newer_fields(
                search_aliases=["face mask", "paint mask", "label map", "segmentation editor"],
                essentials_category="Image Tools",
            ),
        )

    @classmethod
    def validate_inputs(cls, painting: object = None) -> bool | str:
        if painting is None:  # it is linked, and is read when the node runs
            return True
        try:
            read_planes(painting)
        except MaskError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, painting: str, image: Tensor | None = None, mask: Tensor | None = None, sketch: Tensor | None = None
    ) -> io.NodeOutput:
        planes = read_planes(painting)
        painted, drawn = (None, None) if planes is None else (planes.ids, planes.pencil)
        given = None if mask is None else decode_tensor(mask).ids
        for_page = _for_page(image, given, sketch)
        ids = given if painted is None else painted[None]
        lines = _sketch(drawn, sketch, ids)
        for missing, outputs, sentence in (
            (ids is None, host.MAP_OUTPUTS, NOTHING),
            (lines is None, [host.SKETCH_OUTPUT], NO_SKETCH),
        ):
            if missing and host.is_used(cls.hidden.prompt, cls.hidden.unique_id, outputs):
                host.show(cls.hidden.unique_id, for_page)  # photo and sketch still reach the editor
                raise ValueError(sentence)
        if ids is None:
            # Nobody takes what is None here. A tuple shorter than the outputs would end ComfyUI's queue (0.3.64, 0.33).
            blocked = NOTHING if lines is None else None
            return io.NodeOutput(None, None, lines, ui=for_page, block_execution=blocked)
        return io.NodeOutput(colours(ids), _preview(ids, image), lines, ui=for_page)


def _for_page(image: Tensor | None, given: Tensor | None, sketch: Tensor | None) -> dict[str, Any]:
    """What the editor can start from: photo and sketch as temporary files, the mask in the text form of a painting."""
    return {
        "mogle_photo": _saved(image),
        "mogle_mask": [] if given is None else [write_painting(on_grid(given[0]))],
        "mogle_sketch": _saved(sketch),
    }


def _saved(image: Tensor | None) -> list[dict[str, Any]]:
    return [] if image is None else [dict(saved) for saved in ui.PreviewImage(image[:1]).values]


def _sketch(drawn: Tensor | None, given: Tensor | None, ids: Tensor | None) -> Tensor | None:
    """The lines (B, H, W, 3): drawn, or given (never stretched), or none on a map of ids (B, H, W)."""
    if drawn is not None:
        return sketch_of(drawn)
    if given is None:
        return None if ids is None else torch.zeros(1, *ids.shape[1:], 3)
    lines = given[..., :3]
    return lines if ids is None else _contained(lines, ids)


def _contained(picture: Tensor, ids: Tensor) -> Tensor:
    """Scale a picture (B, h, w, 3) to fit ids (B, H, W), with black borders, as the editor shows it."""
    (height, width), (h, w) = ids.shape[1:], picture.shape[1:3]
    scale = min(height / h, width / w)
    h, w = max(1, round(h * scale)), max(1, round(w * scale))
    top, left = (height - h) // 2, (width - w) // 2
    result = torch.zeros(len(picture), height, width, 3)
    channels_first = picture.movedim(-1, 1).to(torch.float32)
    resized = torch.nn.functional.interpolate(channels_first, (h, w), mode="bilinear", antialias=True)
    result[:, top : top + h, left : left + w] = resized.movedim(1, -1)
    return result


def _preview(ids: Tensor, image: Tensor | None) -> Tensor:
    """The colours of ids (B, H, W), blended half and half with the first photo, never stretched: (B, H, W, 3)."""
    if image is None:
        return colours(ids)
    return (colours(ids) + _contained(image[:1, ..., :3], ids)) / 2
