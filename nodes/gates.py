"""Gate Maps: what the gate did during the sampling, as pictures."""

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
            description="Shows which masks the gate listened to, where in the picture and when: a heat map for each "
            "region and step, and which region's expert has the largest weight.",
            inputs=[
                sockets.Gates.Input("gates", tooltip="From Gated Condition."),
                io.Latent.Input(
                    "samples", tooltip="From the sampler, so that the maps are drawn after it. It is not looked at."
                ),
                io.String.Input(
                    "regions",
                    default=STRONGEST,
                    tooltip=f"Whose maps to draw: {STRONGEST} (the six with the largest mean weight), {ALL} (20), or "
                    "names with commas, such as: full mask, hair, skin, glasses.",
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="How many of the run's steps to draw, evenly spread, the first and the last included.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The picture that was made, to lay under the maps in grey."
                ),
                io.Int.Input(
                    "batch_index",
                    default=0,
                    min=0,
                    max=4095,
                    optional=True,
                    tooltip="Which picture of the batch, from 0.",
                ),
                io.Boolean.Input(
                    "one_scale",
                    default=False,
                    optional=True,
                    tooltip="On: all regions' colours mean the same weights. Off: each region's run from 0 to its own "
                    "largest weight, which its head names, so that weak ones show, too.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="maps", tooltip="A column of heat maps for each region, a row a step."),
                io.Image.Output(
                    display_name="winners",
                    tooltip="The class colour of the region with the largest weight at each token, white for the full "
                    "mask. Of named regions only those compete.",
                ),
            ],
            # So that it shows its maps without a Preview Image behind it.
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
        frames = read_gates(gates, batch_index)
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
