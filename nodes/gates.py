"""Gate Maps: draws the gate's weights during the sampling."""

from __future__ import annotations

from comfy_api.latest import io, ui
from torch import Tensor

from ..mogle_core.model.mixture import gate_sheet
from ..mogle_core.model.mixture.gate_maps import ALL, STRONGEST, chosen, read_gates, spread
from ..mogle_core.model.mixture.gate_record import GateRecord
from . import host, sockets


class GateMaps(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGLEGateMaps",
            display_name="Gate Maps",
            category="MoGLE",
            description="Shows which masks the gate used, where in the image and at which step: a heat map for each "
            "region and step, and a map of the region with the largest weight.",
            inputs=[
                sockets.Gates.Input("gates", tooltip="From Gated Condition."),
                io.Latent.Input(
                    "samples", tooltip="From the sampler's output: the maps show the run that made this latent."
                ),
                io.String.Input(
                    "regions",
                    default=STRONGEST,
                    tooltip=f"The regions to draw: {STRONGEST} (the six with the largest mean weight), {ALL} (20), or "
                    "names separated by commas, such as: full mask, hair, skin, glasses.",
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="Number of steps to draw, evenly spaced from the first to the last.",
                ),
                io.Image.Input("image", optional=True, tooltip="The generated image, shown in grey under the maps."),
                io.Int.Input(
                    "batch_index",
                    default=0,
                    min=0,
                    max=4095,
                    optional=True,
                    tooltip="Index of the image in the batch, from 0.",
                ),
                io.Boolean.Input(
                    "one_scale",
                    default=False,
                    optional=True,
                    tooltip="On: a colour means the same weight for all regions. Off: each region's colours run from 0 "
                    "to its largest weight, which is printed above the column, so weak regions are visible.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="maps", tooltip="Heat maps: one column per region, one row per step."),
                io.Image.Output(
                    display_name="winners",
                    tooltip="For each token, the class colour of the region with the largest weight; white is the "
                    "full mask. If regions names some, only those are compared.",
                ),
            ],
            # An output node shows its maps without a Preview Image behind it.
            is_output_node=True,
            **host.newer_fields(search_aliases=["gate view", "expert weights", "attention map", "heat map"]),
        )

    @classmethod
    def execute(
        cls,
        gates: GateRecord,
        samples: host.Latent,
        regions: str,
        steps: int,
        image: Tensor | None = None,
        batch_index: int = 0,
        one_scale: bool = False,
    ) -> io.NodeOutput:
        frames = read_gates(gates, batch_index, samples["samples"])
        experts, moments = chosen(frames, regions), spread(len(frames), steps)
        competing = range(len(frames.masks)) if regions.strip().lower() in ("", STRONGEST) else experts
        picture = None if image is None else image[min(batch_index, len(image) - 1)].cpu()
        sheets = (
            gate_sheet.heat_sheet(frames, experts, moments, picture, one_scale),
            gate_sheet.winner_sheet(frames, competing, moments, picture),
        )
        maps, winners = (gate_sheet.as_image(sheet) for sheet in sheets)
        shown = [dict(saved) for sheet in (maps, winners) for saved in ui.PreviewImage(sheet, cls=cls).values]
        return io.NodeOutput(maps, winners, ui={"images": shown})
