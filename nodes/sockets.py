"""The sockets that are MoGLE's own, and what travels through each."""

from __future__ import annotations

from comfy_api.latest import io

Mogle = io.Custom("MOGLE")  # host.LoadedMoGLE
Masks = io.Custom("MOGLE_MASKS")  # mogle_core.masks.Decoupled
MaskLatents = io.Custom("MOGLE_LATENTS")  # mogle_core.encode.MaskLatents
Regions = io.Custom("MOGLE_REGIONS")  # tuple of mogle_core.regions.Region
Gates = io.Custom("MOGLE_GATES")  # mogle_core.gates.GateRecord
