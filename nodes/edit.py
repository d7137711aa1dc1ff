"""Mask Edit, Set Region, Get Region and Morph Mask: they change a label map region by region."""

from __future__ import annotations

import logging

import torch
from comfy_api.latest import io
from torch import Tensor

from ..mogle_core.masks.decouple import colours, decode_tensor
from ..mogle_core.masks.decouple import region as region_of
from ..mogle_core.masks.edit import ALL, OPERATIONS, STYLES, edit, morph, set_region
from ..mogle_core.masks.labels import CLASS_NAMES
from . import host

logger = logging.getLogger(__name__)


def _mask(name: str, tooltip: str) -> io.Image.Input:
    return io.Image.Input(name, tooltip=f"{tooltip} In palette colours or as class ids.")


def _region(tooltip: str, *more: str) -> io.Combo.Input:
    return io.Combo.Input("region", options=[*more, *CLASS_NAMES], default="hair", tooltip=tooltip)


def _locked() -> io.String.Input:
    return io.String.Input(
        "locked",
        default="",
        optional=True,
        tooltip="Classes that must not lose or gain a pixel, separated by commas: l_eye, r_eye, mouth.",
    )


def _pixels(name: str, direction: str) -> io.Int.Input:
    tooltip = f"For move: pixels {direction}. Negative values move the other way."
    return io.Int.Input(name, default=0, min=-16384, max=16384, optional=True, tooltip=tooltip)


def _style(name: str) -> io.Combo.Input:
    styles = list(STYLES[f"add {name}"])
    tooltip = f"For add {name}: the style."
    return io.Combo.Input(name, options=styles, default=styles[0], optional=True, tooltip=tooltip)


def _edited(tooltip: str) -> io.Image.Output:
    return io.Image.Output(display_name="mask", tooltip=tooltip)


class MaskEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMaskEdit",
            display_name="Mask Edit",
            category="MoGLE",
            description="Changes one region of a face mask, or adds a hat, glasses or earrings. It works on class "
            "numbers, so colours are never mixed.",
            inputs=[
                _mask("mask", "The face mask."),
                _region(
                    "The class to change, or all for the whole mask (move, scale, rotate, mirror, swap left/right, "
                    "smooth). The add operations ignore it.",
                    ALL,
                ),
                io.Combo.Input(
                    "operation",
                    options=list(OPERATIONS),
                    default="grow",
                    tooltip="The change to make. Pixels that a region uncovers are filled from the classes behind it.",
                ),
                io.Float.Input(
                    "amount",
                    default=8.0,
                    min=-16384.0,
                    max=16384.0,
                    step=0.5,
                    optional=True,
                    tooltip="For grow, shrink and smooth: pixels. For scale: percent larger (negative: smaller). "
                    "For rotate: degrees clockwise. 0 changes nothing.",
                ),
                _pixels("dx", "to the right"),
                _pixels("dy", "down"),
                io.Combo.Input(
                    "replacement",
                    options=list(CLASS_NAMES),
                    default="background",
                    optional=True,
                    tooltip="For replace by: the class that the region becomes.",
                ),
                _style("hat"),
                _style("glasses"),
                _style("earrings"),
                _locked(),
            ],
            outputs=[_edited("The changed mask, in palette colours.")],
            **host.newer_fields(search_aliases=["grow region", "face mask edit", "add glasses", "add hat"]),
        )

    @classmethod
    def execute(
        cls,
        mask: Tensor,
        region: str,
        operation: str,
        amount: float = 8.0,
        dx: int = 0,
        dy: int = 0,
        replacement: str = "background",
        hat: str = "",
        glasses: str = "",
        earrings: str = "",
        locked: str = "",
    ) -> io.NodeOutput:
        ids = decode_tensor(mask, "auto").ids
        style = {"add hat": hat, "add glasses": glasses, "add earrings": earrings}.get(operation, "")
        edited = edit(
            ids,
            operation,
            region,
            amount=amount,
            dx=dx,
            dy=dy,
            replacement=replacement,
            style=style,
            locked=locked,
        )
        if region not in (ALL, *(CLASS_NAMES[c] for c in torch.unique(ids).tolist())) and edited.equal(ids):
            logger.warning("Mask Edit: the mask has no %s, so %s changed nothing.", region, operation)
        return io.NodeOutput(colours(edited))


class SetRegion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLESetRegion",
            display_name="Set Region",
            category="MoGLE",
            description="Gives an area of a face mask the class that you choose.",
            inputs=[
                _mask("mask", "The face mask."),
                _region("The class that the area becomes."),
                io.Mask.Input(
                    "area", tooltip="Pixels of 0.5 or more are painted. Resized to the mask by nearest neighbour."
                ),
                io.Boolean.Input(
                    "keep",
                    default=True,
                    optional=True,
                    tooltip="On: the area is added to the region. Off: the area replaces the region, and the pixels "
                    "that this uncovers are filled from the classes behind.",
                ),
                _locked(),
            ],
            outputs=[_edited("The mask with the region, in palette colours.")],
            **host.newer_fields(search_aliases=["paint region", "mask to face mask", "replace region"]),
        )

    @classmethod
    def execute(cls, mask: Tensor, region: str, area: Tensor, keep: bool = True, locked: str = "") -> io.NodeOutput:
        ids = decode_tensor(mask, "auto").ids
        return io.NodeOutput(colours(set_region(ids, region, area, keep=keep, locked=locked)))


class GetRegion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEGetRegion",
            display_name="Get Region",
            category="MoGLE",
            description="Extracts one class of a face mask as a MASK, for inpainting, compositing and any other mask "
            "node.",
            inputs=[_mask("mask", "The face mask."), _region("The class to extract.")],
            outputs=[io.Mask.Output(display_name="area", tooltip="1 where the mask has this class, 0 elsewhere.")],
            **host.newer_fields(search_aliases=["face mask to mask", "extract region", "class mask"]),
        )

    @classmethod
    def execute(cls, mask: Tensor, region: str) -> io.NodeOutput:
        return io.NodeOutput(region_of(decode_tensor(mask, "auto").ids, CLASS_NAMES.index(region)))


class MorphMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMorphMask",
            display_name="Morph Mask",
            category="MoGLE",
            description="Makes a series of face masks that lead from one mask to another, for animations and sweeps.",
            inputs=[
                _mask("first", "The mask to start from. Not a batch."),
                _mask("second", "The mask to end with, of the same size. Not a batch."),
                io.Int.Input(
                    "count", default=5, min=2, max=1024, tooltip="Number of masks, including the first and the second."
                ),
            ],
            outputs=[io.Image.Output(display_name="masks", tooltip="A batch of masks, in palette colours.")],
            **host.newer_fields(search_aliases=["interpolate masks", "blend face masks"]),
        )

    @classmethod
    def execute(cls, first: Tensor, second: Tensor, count: int) -> io.NodeOutput:
        start, end = (decode_tensor(mask, "auto").ids for mask in (first, second))
        return io.NodeOutput(colours(morph(start, end, count)))
