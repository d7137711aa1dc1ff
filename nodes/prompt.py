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
            description="Gives one region of the mask its own prompt, in addition to the prompt for the whole image. "
            "Chain one node for each region.",
            inputs=[
                io.Combo.Input(
                    "region",
                    options=list(CLASS_NAMES),
                    default="hair",
                    tooltip="The class whose area the text describes.",
                ),
                io.Conditioning.Input(
                    "conditioning", tooltip="The text, from CLIP Text Encode. Its guidance and pooled text are ignored."
                ),
                inputs.strength(
                    "How strongly the area follows the text: log(strength) is added to the attention between the two. "
                    "0 turns the text off."
                ),
                io.Float.Input(
                    "prompt_strength",
                    default=PROMPT_STRENGTH,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How strongly the prompt for the whole image still acts in this area: 1 is as strongly as "
                    "elsewhere, 0 is not at all. Even a prompt that does not mention hair asks for ordinary hair.",
                ),
                inputs.percent("start_percent", 0.0, "Fraction of the sampling at which the text starts to apply."),
                inputs.percent("end_percent", 1.0, "Fraction of the sampling at which the text stops applying."),
                sockets.RegionPrompts.Input(
                    "region_prompts", optional=True, tooltip="From another Region Prompt, to chain them."
                ),
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
