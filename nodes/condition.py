"""Gated Condition and Region Control: the mask joins the model and the conditioning."""

from __future__ import annotations

from comfy_api.latest import io

from ..mogle_core.model.mixture.gate_record import GateRecord
from ..mogle_core.model.mixture.mask_latents import MaskLatents
from ..mogle_core.model.mixture.regions import REGION_NAMES, Region, check_window
from ..mogle_core.model.stream.kept_keys import SCHEDULES, Refresh
from ..mogle_core.model.stream.mask_tokens import MASK_TOKENS, check_texts
from ..mogle_core.model.stream.region_text import RegionPrompt
from . import host, inputs, sockets

SAME_GUIDANCE = "same as image"


class GatedCondition(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEGatedCondition",
            display_name="Gated Condition",
            category="MoGLE",
            description="Puts the mask beside text and image as a third stream through every block of FLUX.1. "
            "Use the outputs model and positive together.",
            inputs=[
                io.Model.Input("model", tooltip="FLUX.1, as from Load Diffusion Model."),
                io.Conditioning.Input("positive", tooltip="The prompt, after FluxGuidance."),
                sockets.Mogle.Input("mogle", tooltip="From Load MoGLE."),
                sockets.MaskLatents.Input("mask_latents", tooltip="From MoGLE Encode."),
                inputs.strength(
                    "How much picture and mask see of each other: log(strength) is added to their attention. 1 is "
                    "what it was trained for and the fastest; 0 is plain FLUX."
                ),
                inputs.percent("start_percent", 0.0, "From which part of the sampling on the mask acts."),
                inputs.percent(
                    "end_percent",
                    1.0,
                    "Up to which part of the sampling the mask acts; the steps after it are as fast as plain FLUX.",
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="A negative prompt that is to follow the mask, too. To leave the mask out of it, "
                    "connect it to the sampler directly. Without one, the output is an empty negative.",
                ),
                sockets.Regions.Input(
                    "regions", optional=True, tooltip="From Region Control: single regions weaker or stronger."
                ),
                sockets.RegionPrompts.Input(
                    "region_prompts",
                    optional=True,
                    tooltip="From Region Prompt: texts of single regions, beside the positive prompt. The negative "
                    "gets none.",
                ),
                io.Combo.Input(
                    "mask_guidance",
                    options=[SAME_GUIDANCE, "1"],
                    default=SAME_GUIDANCE,
                    optional=True,
                    tooltip="The guidance that the mask stream is told: the image's, as the official inference "
                    "does, or 1, as in training.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Boolean.Input(
                    "separate_calls",
                    default=False,
                    optional=True,
                    tooltip="Run image and mask through each layer in two calls. Slower; for weights whose "
                    "products scale by their largest input (nvfp4), so that the mask cannot touch the image's "
                    "rounding.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Int.Input(
                    "refresh_every",
                    default=1,
                    min=1,
                    max=16,
                    optional=True,
                    tooltip="Compute the mask stream only at every so many steps and reuse its keys and values in "
                    "those between. 1 is exact; 4 is much faster and keeps the mask a little less closely. Needs "
                    "memory for the kept keys.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Combo.Input(
                    "refresh_schedule",
                    options=list(SCHEDULES),
                    default=SCHEDULES[0],
                    optional=True,
                    tooltip="dense early computes the mask stream at each of the first steps, where the layout is "
                    "decided, and at every so many of the others. Without effect while refresh_every is 1.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Combo.Input(
                    "mask_tokens",
                    options=list(MASK_TOKENS),
                    default=MASK_TOKENS[0],
                    optional=True,
                    tooltip="half: a quarter of the mask tokens, each for 2 x 2 of the picture's. Faster, and small "
                    "features follow the mask less closely.",
                    **host.newer_input_fields(advanced=True),
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The model with the mask stream."),
                io.Conditioning.Output(display_name="positive", tooltip="The prompt with the mask."),
                io.Conditioning.Output(display_name="negative", tooltip="The negative, with the mask if given."),
                sockets.Gates.Output(
                    display_name="gates", tooltip="What the gate does, for Gate Maps. Recorded only if connected."
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            **host.newer_fields(search_aliases=["apply mogle", "face mask condition"]),
        )

    @classmethod
    def execute(
        cls,
        model: host.ModelPatcher,
        positive: host.Conditioning,
        mogle: host.LoadedMoGLE,
        mask_latents: MaskLatents,
        strength: float,
        start_percent: float,
        end_percent: float,
        negative: host.Conditioning | None = None,
        regions: tuple[Region, ...] = (),
        region_prompts: tuple[RegionPrompt, ...] = (),
        mask_guidance: str = SAME_GUIDANCE,
        separate_calls: bool = False,
        refresh_every: int = 1,
        refresh_schedule: str = SCHEDULES[0],
        mask_tokens: str = MASK_TOKENS[0],
    ) -> io.NodeOutput:
        check_window(start_percent, end_percent, "Gated Condition")
        refresh = Refresh(refresh_every, refresh_schedule)
        refresh.check(mogle.recipe.options)
        check_texts(mask_tokens, region_prompts)
        gates = GateRecord(masks=mogle.network.config.masks)
        settings = host.MaskSettings(
            strength=strength,
            start_percent=start_percent,
            end_percent=end_percent,
            regions=tuple(regions),
            gate_timestep=mogle.gate_timestep,
            options=mogle.recipe.options,
            guidance=None if mask_guidance == SAME_GUIDANCE else float(mask_guidance),
            separate_calls=separate_calls,
            record=gates if host.asks_for_gates(cls.hidden.prompt, cls.hidden.unique_id) else None,
            refresh=refresh,
            mask_tokens=mask_tokens,
        )
        empty = host.empty_conditioning(positive) if negative is None else None
        if strength == 0:
            return io.NodeOutput(model, positive, empty or negative, gates)
        return io.NodeOutput(
            host.attach(model, mogle, settings),
            host.with_region_prompts(host.with_mask(positive, mask_latents), mask_latents, region_prompts),
            empty or host.with_mask(negative, mask_latents),
            gates,
        )


class RegionControl(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLERegions",
            display_name="Region Control",
            category="MoGLE",
            description="Makes one region's mask stricter or looser, or lets it act for a part of the time. "
            "Chain several for several regions.",
            inputs=[
                io.Combo.Input(
                    "region",
                    options=list(REGION_NAMES),
                    default="hair",
                    tooltip="A class, or the full mask that holds all of them.",
                ),
                inputs.strength("Factor on this region's share in the gate; the other shares fill up. 0 takes it out."),
                inputs.percent("start_percent", 0.0, "From which part of the sampling on it holds; before it, 1."),
                inputs.percent("end_percent", 1.0, "Up to which part of the sampling it holds; after it, 1."),
                sockets.Regions.Input("regions", optional=True, tooltip="More regions, from another one."),
            ],
            outputs=[sockets.Regions.Output(display_name="regions", tooltip="For Gated Condition.")],
            **host.newer_fields(search_aliases=["regional strength", "class strength"]),
        )

    @classmethod
    def execute(
        cls,
        region: str,
        strength: float,
        start_percent: float,
        end_percent: float,
        regions: tuple[Region, ...] = (),
    ) -> io.NodeOutput:
        return io.NodeOutput((*regions, Region(region, strength, start_percent, end_percent)))
