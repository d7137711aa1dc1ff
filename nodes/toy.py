"""Toy Prompt: text conditioning for the toy world's small FLUX, in place of CLIP and T5."""

from __future__ import annotations

import json
import logging
from functools import lru_cache

from comfy_api.latest import io

from ..mogle_core.model.checkpoints.tensors import read_tensors
from ..mogle_core.support.errors import WeightsError
from ..mogle_core.toy.places import FILES, WEIGHTS
from ..mogle_core.toy.text import ToyText, words_of
from . import host

logger = logging.getLogger(__name__)


class ToyPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEToyPrompt",
            display_name="Toy Prompt",
            category="MoGLE",
            description="Encodes a prompt for the toy world's small FLUX (toy_flux.safetensors) and for no other "
            "model. With it you can see the method work without the 24 GB of FLUX.1-dev.",
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default="A woman with long straight brown hair in a purple sweater in front of a green background. "
                    "The woman is wearing red lipstick and a necklace. The woman has tan skin and is smiling.",
                    tooltip="What the face looks like, in the words of the drawn faces' captions: hair, skin, "
                    "eyes, clothing, accessories, background. The toy model does not know other words.",
                ),
                io.Float.Input(
                    "guidance",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="The guidance value for the model. The toy was trained with 1 only.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="conditioning", tooltip="For Gated Condition, or for a sampler.")
            ],
            **host.newer_fields(search_aliases=["toy text encode", "toy clip"]),
        )

    @classmethod
    def execute(cls, text: str, guidance: float) -> io.NodeOutput:
        encoder = text_encoder()
        unknown = [word for word in dict.fromkeys(words_of(text)) if word not in encoder.vocabulary]
        if unknown:
            logger.warning("Toy Prompt: the toy's small vocabulary lacks %s.", ", ".join(unknown))
        context, pooled = encoder.encode([text])
        return io.NodeOutput([[context, {"pooled_output": pooled, "guidance": guidance}]])


@lru_cache(maxsize=1)
def text_encoder() -> ToyText:
    """The embedded text encoder, in float32 on the CPU: small enough to stay."""
    try:
        tensors, metadata = read_tensors(WEIGHTS / FILES["text"])
    except WeightsError as error:
        raise WeightsError(
            f"{error} Toy Prompt needs the toy's text encoder, which belongs to this extension: install it again."
        ) from error
    encoder = ToyText(json.loads(metadata["toy.vocabulary"]))
    encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return encoder.requires_grad_(False).train(False)
