"""The socket types that MoGLE adds, and the value that each carries."""

from __future__ import annotations

from comfy_api.latest import io

Mogle = io.Custom("MOGLE")  # host.LoadedMoGLE
Masks = io.Custom("MOGLE_MASKS")  # mogle_core.masks.decouple.Decoupled
MaskLatents = io.Custom("MOGLE_LATENTS")  # mogle_core.model.mixture.mask_latents.MaskLatents
Regions = io.Custom("MOGLE_REGIONS")  # tuple of mogle_core.model.mixture.regions.Region
RegionPrompts = io.Custom("MOGLE_REGION_PROMPTS")  # tuple of mogle_core.model.stream.region_text.RegionPrompt
Gates = io.Custom("MOGLE_GATES")  # mogle_core.model.mixture.gate_record.GateRecord
Painting = io.Custom("MOGLE_PAINTING")  # str: label map and pencil drawing, mogle_core.masks.painting
Crop = io.Custom("MOGLE_CROP")  # tuple of mogle_core.parse.align.Crop, one per image
Floats = io.Custom("FLOATS,FLOAT")  # list[float], as core's keyframe nodes take them, or one
