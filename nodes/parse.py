"""Parse Face, Align Face, Unalign Face and Mask Score: they get a mask from a photo, and score a result."""

from __future__ import annotations

import logging

import torch
from comfy_api.latest import io
from torch import Tensor

from ..mogle_core.masks import score
from ..mogle_core.masks.decouple import colours, decode_tensor
from ..mogle_core.model.flux_latents import TOKEN_PIXELS
from ..mogle_core.parse import align
from ..mogle_core.parse.sides import fix_left_right as repaired
from . import host, inputs, sockets

logger = logging.getLogger(__name__)

DETECTORS = ["auto", "YuNet", "mask"]


def _parser(tooltip: str, optional: bool = False) -> io.Combo.Input:
    return io.Combo.Input("parser_name", options=[*host.parser_choices()], optional=optional, tooltip=tooltip)


class ParseFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEParseFace",
            display_name="Parse Face",
            category="MoGLE",
            description="Finds the 19 classes of a face in a photo and returns them as a mask.",
            inputs=[
                io.Image.Input("image", tooltip="A photo of one face, in any size, or a batch of photos."),
                _parser("A folder or file in models/face_parsing: jonathandinu/face-parsing, or the toy judge."),
                io.Boolean.Input(
                    "fix_left_right",
                    default=True,
                    optional=True,
                    tooltip="Corrects left and right of eyes, brows and ears by their position in the face. Parsers "
                    "often confuse the two.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="mask", tooltip="The label map in palette colours."),
                io.Image.Output(display_name="preview", tooltip="The mask over the photo, to check by eye."),
                io.String.Output(
                    display_name="undecided", tooltip="The parts whose side is unclear; empty if all are clear."
                ),
            ],
            **host.newer_fields(search_aliases=["face parsing", "segformer", "segmentation"]),
        )

    @classmethod
    def validate_inputs(cls, parser_name: str | None = None) -> bool | str:
        return inputs.is_valid(parser_name, host.parser_complaint)

    @classmethod
    def fingerprint_inputs(cls, parser_name: str | None = None, **others: object) -> str:
        return host.parser_state(parser_name)

    @classmethod
    def execute(cls, image: Tensor, parser_name: str, fix_left_right: bool = True) -> io.NodeOutput:
        ids, undecided = host.parse(parser_name, image), tuple[str, ...]()
        if fix_left_right:
            ids, undecided = repaired(ids)
        for sentence in undecided:
            logger.warning("Parse Face: %s", sentence)
        mask = colours(ids)
        preview = (image[..., :3].to(mask) + mask) / 2
        return io.NodeOutput(mask, preview, "\n".join(undecided))


class AlignFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEAlignFace",
            display_name="Align Face",
            category="MoGLE",
            description="Crops the square around a face from a photo, upright and at the scale of the portraits that "
            "Face-MoGLE was trained on.",
            inputs=[
                io.Image.Input("image", tooltip="A photo with one face, or a batch of photos."),
                io.Image.Input(
                    "mask",
                    optional=True,
                    tooltip="The photo's label map, from Parse Face. It shows where the face is, and is cropped the "
                    "same way.",
                ),
                io.Int.Input(
                    "size",
                    default=512,
                    min=64,
                    max=4096,
                    step=TOKEN_PIXELS,
                    tooltip="Side of the square in pixels. Training used 512.",
                ),
                io.Combo.Input(
                    "detector",
                    options=DETECTORS,
                    default="auto",
                    optional=True,
                    tooltip="How to find the face. auto uses YuNet if it is installed and finds a face, otherwise the "
                    "mask.",
                    **host.newer_input_fields(advanced=True),
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The aligned face."),
                io.Image.Output(
                    display_name="mask",
                    tooltip="The label map of the aligned face; all background if no mask is connected.",
                ),
                sockets.Crop.Output(
                    display_name="crop", tooltip="The position of the square in the photo, for Unalign Face."
                ),
            ],
            **host.newer_fields(search_aliases=["face crop", "ffhq", "face alignment"]),
        )

    @classmethod
    def execute(cls, image: Tensor, size: int, mask: Tensor | None = None, detector: str = "auto") -> io.NodeOutput:
        background = torch.zeros(image.shape[:3], dtype=torch.uint8)
        ids = background if mask is None else align.fitted(decode_tensor(mask).ids, image)
        landmarks = None if detector == "mask" else host.detected_landmarks(image)
        crops = align.find_crops(landmarks, None if mask is None or detector == "YuNet" else ids, image)
        return io.NodeOutput(align.align(image, crops, size), colours(align.align_ids(ids, crops, size)), crops)


class UnalignFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEUnalignFace",
            display_name="Unalign Face",
            category="MoGLE",
            description="Pastes an aligned face back into its photo, with a soft seam.",
            inputs=[
                io.Image.Input("image", tooltip="The new face: a square of any size, or a batch of squares."),
                sockets.Crop.Input("crop", tooltip="From Align Face."),
                io.Image.Input("photo", tooltip="The photo that Align Face cropped."),
                io.Float.Input(
                    "feather",
                    default=0.1,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Width of the seam as a fraction of the square's side. 0 is a hard edge.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The photo with the new face.")],
            **host.newer_fields(search_aliases=["paste face", "uncrop"]),
        )

    @classmethod
    def execute(cls, image: Tensor, crop: tuple[align.Crop, ...], photo: Tensor, feather: float) -> io.NodeOutput:
        return io.NodeOutput(align.unalign(*align.matched(image[..., :3], photo[..., :3], crop), feather))


class MaskScore(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEMaskScore",
            display_name="Mask Score",
            category="MoGLE",
            description="Measures how well each image follows its mask, class by class, and names the best of a batch.",
            inputs=[
                io.Image.Input(
                    "mask", tooltip="The mask that the image should follow: one for all images, or one for each."
                ),
                io.Image.Input("image", optional=True, tooltip="The generated images. This node parses them."),
                io.Image.Input(
                    "parsed", optional=True, tooltip="Label maps of the images, from Parse Face. Connect this or image."
                ),
                _parser("The parser for image, as in Parse Face. Not needed if parsed is connected.", optional=True),
            ],
            outputs=[
                io.Float.Output(display_name="score", tooltip="Mean IoU, from 0 to 1, averaged over the batch."),
                io.String.Output(display_name="table", tooltip="All scores, in Markdown."),
                io.Image.Output(
                    display_name="difference",
                    tooltip="Correct pixels are pale. Wrong ones show the class that is there.",
                ),
                io.Int.Output(
                    display_name="best_index", tooltip="Index of the image with the highest mean IoU, from 0."
                ),
            ],
            **host.newer_fields(search_aliases=["iou", "mask accuracy", "best of batch"]),
        )

    @classmethod
    def validate_inputs(cls, parser_name: str | None = None) -> bool | str:
        return True  # without an image no parser is needed: `execute` says what is missing

    @classmethod
    def fingerprint_inputs(cls, parser_name: str | None = None, **others: object) -> str:
        return host.parser_state(parser_name)

    @classmethod
    def execute(
        cls,
        mask: Tensor,
        image: Tensor | None = None,
        parsed: Tensor | None = None,
        parser_name: str | None = None,
    ) -> io.NodeOutput:
        wanted = decode_tensor(mask).ids
        if image is not None and parsed is None:
            made = host.parse(parser_name, image)
        elif parsed is not None and image is None:
            made = decode_tensor(parsed).ids
        else:
            raise ValueError("Mask Score compares the mask with image or with parsed: connect one of the two.")
        result = score.score(made, wanted)
        mean = float(result.mean_ious.mean())
        return io.NodeOutput(mean, score.table(result), score.difference(made, wanted), result.best_index)
