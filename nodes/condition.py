"""Gated Condition and Region Control: they add the mask to the model and the conditioning."""

from __future__ import annotations

import logging
import math
from functools import partial

from comfy_api.latest import io

from ..mogle_core.model.mixture.gate_record import GateRecord
from ..mogle_core.model.mixture.mask_latents import MaskLatents
from ..mogle_core.model.mixture.regions import CONDITION_NAMES, Region, check_window
from ..mogle_core.model.stream.key_forms import KEY_FORMS, KeyForm
from ..mogle_core.model.stream.mask_tokens import MASK_TOKENS, check_options, check_texts
from ..mogle_core.model.stream.refresh import SCHEDULES, Refresh
from ..mogle_core.model.stream.region_text import RegionPrompt
from . import host, inputs, sockets

logger = logging.getLogger(__name__)

SAME_GUIDANCE = "same as image"
MISSING = (
    "Gated Condition needs a network and a mask: connect mogle to Load MoGLE and mask_latents to MoGLE Encode. To run "
    "the workflow without the mask, bypass this node."
)
UNMERGED = (
    "Gated Condition's mask_tokens is merged, but every mask token stays: the mask has no label map (it was saved "
    "without one), or Add Condition's lines run inside of regions. The image is right; it takes as long as with full."
)


class GatedCondition(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEGatedCondition",
            display_name="Gated Condition",
            category="MoGLE",
            description="Adds the mask to FLUX.1 as a third stream that runs through every block beside text and "
            "image. Use the outputs model and positive together.",
            inputs=[
                io.Model.Input("model", tooltip="FLUX.1, for example from Load Diffusion Model."),
                io.Conditioning.Input("positive", tooltip="The prompt, after FluxGuidance."),
                inputs.strength(
                    "How strongly the image follows the mask: log(strength) is added to the attention between the "
                    "two. 1 is the trained value and the fastest. 0 is plain FLUX."
                ),
                inputs.percent("start_percent", 0.0, "Fraction of the sampling at which the mask starts to act."),
                inputs.percent(
                    "end_percent",
                    1.0,
                    "Fraction of the sampling at which the mask stops acting. Later steps are as fast as plain FLUX.",
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="A negative prompt that should also follow the mask. If it should not, connect it to "
                    "the sampler directly. If nothing is connected, the negative output is empty.",
                ),
                # After the negative, and optional, so that a bypassed node passes the negative on as the negative: the
                # page puts an output's link on the input of the same place, and required sockets before optional ones.
                sockets.Mogle.Input("mogle", optional=True, tooltip="From Load MoGLE. Needed."),
                sockets.MaskLatents.Input("mask_latents", optional=True, tooltip="From MoGLE Encode. Needed."),
                sockets.Regions.Input(
                    "regions", optional=True, tooltip="From Region Control: makes single regions weaker or stronger."
                ),
                sockets.RegionPrompts.Input(
                    "region_prompts",
                    optional=True,
                    tooltip="From Region Prompt: extra prompts for single regions. They apply to the positive prompt "
                    "only.",
                ),
                sockets.Floats.Input(
                    "strength_schedule",
                    optional=True,
                    tooltip="Numbers that strength is multiplied by, spread over the steps: one per step, or fewer "
                    "with a straight line between them. 0 leaves the mask out of a step.",
                ),
                io.Combo.Input(
                    "mask_guidance",
                    options=[SAME_GUIDANCE, "1"],
                    default=SAME_GUIDANCE,
                    optional=True,
                    tooltip="The guidance value for the mask stream: the same as for the image, as in the official "
                    "inference, or 1, as in training.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Boolean.Input(
                    "separate_calls",
                    default=False,
                    optional=True,
                    tooltip="Runs image and mask through each layer in two calls, which is slower. Meant for weights "
                    "that scale each call by its largest input (nvfp4): the mask then cannot change how the image "
                    "is rounded.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Int.Input(
                    "refresh_every",
                    default=1,
                    min=0,
                    max=16,
                    optional=True,
                    tooltip="Computes the mask stream every N steps and reuses its keys and values in between. 1 is "
                    "exact. 4 is much faster, and the image follows the mask a little less closely. 0 computes it "
                    "once a run, which is almost as fast as plain FLUX. The stored keys need memory.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Combo.Input(
                    "refresh_schedule",
                    options=list(SCHEDULES),
                    default=SCHEDULES[0],
                    optional=True,
                    tooltip="dense early computes the mask stream at each of the first steps, which decide the "
                    "layout, and every N steps after that. It has no effect while refresh_every is 1. Two schedules "
                    "ignore refresh_every. early, then once: at each of the first steps, then once for the rest. "
                    "adaptive: whenever the mask tokens have changed noticeably.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Combo.Input(
                    "mask_tokens",
                    options=list(MASK_TOKENS),
                    default=MASK_TOKENS[0],
                    optional=True,
                    tooltip="merged joins 2 x 2 mask tokens into one wherever all their pixels are of one class, and "
                    "keeps the outlines. This is faster. half does so everywhere, which leaves a quarter, but small "
                    "features follow the mask less closely.",
                    **host.newer_input_fields(advanced=True),
                ),
                io.Combo.Input(
                    "key_storage",
                    options=list(KEY_FORMS),
                    default=KEY_FORMS[0],
                    optional=True,
                    tooltip="Where the mask's keys wait between two computations. auto: on the GPU, or in host memory "
                    "if they do not fit. fp8: half the size, rounded to 8 bits. host memory: always there. It has no "
                    "effect while every step computes the mask stream.",
                    **host.newer_input_fields(advanced=True),
                ),
                inputs.strength_of_blocks(
                    "double_strength",
                    "A factor on strength in FLUX's double blocks, which come first. 0 hides the mask from the image "
                    "in these blocks.",
                ),
                inputs.strength_of_blocks(
                    "single_strength",
                    "A factor on strength in FLUX's single blocks, which come after the double ones. 0 hides the mask "
                    "from the image in these blocks.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The model with the mask stream."),
                io.Conditioning.Output(display_name="positive", tooltip="The prompt with the mask."),
                io.Conditioning.Output(
                    display_name="negative", tooltip="The negative prompt with the mask; empty if none is connected."
                ),
                sockets.Gates.Output(
                    display_name="gates", tooltip="The gate's weights, for Gate Maps. Recorded only if connected."
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
        strength: float,
        start_percent: float,
        end_percent: float,
        negative: host.Conditioning | None = None,
        mogle: host.LoadedMoGLE | None = None,
        mask_latents: MaskLatents | None = None,
        regions: tuple[Region, ...] = (),
        region_prompts: tuple[RegionPrompt, ...] = (),
        strength_schedule: float | list[float] | tuple[float, ...] = (),
        mask_guidance: str = SAME_GUIDANCE,
        separate_calls: bool = False,
        refresh_every: int = 1,
        refresh_schedule: str = SCHEDULES[0],
        mask_tokens: str = MASK_TOKENS[0],
        key_storage: str = KEY_FORMS[0],
        double_strength: float = 1.0,
        single_strength: float = 1.0,
    ) -> io.NodeOutput:
        if mogle is None or mask_latents is None:
            raise ValueError(MISSING)
        check_window(start_percent, end_percent, "Gated Condition")
        refresh, keys = Refresh(refresh_every, refresh_schedule), KeyForm.of(key_storage)
        refresh.check(mogle.recipe.options)
        check_texts(mask_tokens, region_prompts)
        check_options(mask_tokens, mogle.recipe.options)
        extra = mogle.network.config.extra
        gates = GateRecord(masks=mogle.network.config.masks, extra=extra)
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
            keys=keys,
            mask_tokens=mask_tokens,
            schedule=_schedule(strength_schedule),
            double_strength=double_strength,
            single_strength=single_strength,
            pooled=mogle.recipe.pooled,
            static=mogle.recipe.stream == "static",
        )
        if strength == 0 or double_strength == single_strength == 0:
            # As if neither this node nor one before it were there: the last one holds for everything.
            unmasked = host.empty_conditioning(positive) if negative is None else host.without_mask(negative)
            return io.NodeOutput(host.detach(model), host.without_mask(positive), unmasked, gates)
        masked = partial(host.with_mask, masks=mask_latents, extra=extra, merged=mask_tokens == "merged")
        if mask_tokens == "merged" and mask_latents.cells() is None:
            logger.warning(UNMERGED)
        return io.NodeOutput(
            host.attach(model, mogle, settings),
            host.with_region_prompts(masked(positive), mask_latents, region_prompts),
            host.empty_conditioning(positive) if negative is None else masked(negative),
            gates,
        )


def _schedule(given: float | list[float] | tuple[float, ...]) -> tuple[float, ...]:
    """The factors of a strength_schedule; a single number is the same at every step."""
    factors = tuple(map(float, given if isinstance(given, list | tuple) else [given]))
    if any(not 0 <= factor < math.inf for factor in factors):
        raise ValueError(
            f"Gated Condition's strength_schedule has numbers of 0 and above; {min(factors)} is among them."
        )
    return factors


class RegionControl(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLERegions",
            display_name="Region Control",
            category="MoGLE",
            description="Makes the image follow one region's mask more or less strictly, or only during part of the "
            "sampling. Chain one node for each region.",
            inputs=[
                io.Combo.Input(
                    "region",
                    options=list(CONDITION_NAMES),
                    default="hair",
                    tooltip="A class, the full mask, which contains all classes, or a further condition from Add "
                    "Condition.",
                ),
                inputs.strength(
                    "Multiplies this region's weight in the gate. All weights are then scaled to sum to 1 again. 0 "
                    "removes the region."
                ),
                inputs.percent(
                    "start_percent",
                    0.0,
                    "Fraction of the sampling at which the strength starts to apply. It is 1 before.",
                ),
                inputs.percent(
                    "end_percent", 1.0, "Fraction of the sampling at which the strength stops applying. It is 1 after."
                ),
                sockets.Regions.Input("regions", optional=True, tooltip="From another Region Control, to chain them."),
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
