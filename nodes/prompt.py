"""Region Prompt: a text for one region of the mask."""

from __future__ import annotations

from comfy_api.latest import io

from ..mogle_core.masks.labels import CLASS_NAMES
from ..mogle_core.model.stream.region_text import PROMPT_STRENGTH, RegionPrompt
from . import host, inputs, sockets


class RegionPrompting(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLERegionPrompt",
            display_name="Region Prompt",
            category="MoGLE",
            description="Gives one region of the mask a text of its own, beside the prompt of the whole picture. "
            "Chain several for several regions.",
            inputs=[
                io.Combo.Input(
                    "region",
                    options=list(CLASS_NAMES),
                    default="hair",
                    tooltip="The class whose area the text is for.",
                ),
                io.Conditioning.Input(
                    "conditioning", tooltip="The text, as from CLIP Text Encode. Only its words are used."
                ),
                inputs.strength(
                    "How much text and area see of each other: log(strength) is added to their attention; 0 is no text."
                ),
                io.Float.Input(
                    "prompt_strength",
                    default=PROMPT_STRENGTH,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the whole picture's prompt the area still sees: 1 is as much as elsewhere, 0 "
                    "is nothing. A prompt that does not speak of hair still asks for usual hair.",
                ),
                inputs.percent("start_percent", 0.0, "From which part of the sampling on the text is heard."),
                inputs.percent("end_percent", 1.0, "Up to which part of the sampling the text is heard."),
                sockets.RegionPrompts.Input("region_prompts", optional=True, tooltip="More texts, from another one."),
            ],
            outputs=[sockets.RegionPrompts.Output(display_name="region_prompts", tooltip="For Gated Condition.")],
            **host.newer_fields(search_aliases=["regional prompt", "area prompt", "class prompt"]),
        )

    @classmethod
    def execute(
        cls,
        region: str,
        conditioning: host.Conditioning,
        strength: float,
        prompt_strength: float,
        start_percent: float,
        end_percent: float,
        region_prompts: tuple[RegionPrompt, ...] = (),
    ) -> io.NodeOutput:
        context = host.text_of(conditioning, region)
        prompt = RegionPrompt(region, context, strength, start_percent, end_percent, prompt_strength)
        return io.NodeOutput((*region_prompts, prompt))
