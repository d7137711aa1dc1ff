"""What the tests need in a ComfyUI: text conditioning of any width, and small FLUX files on old hosts."""

from __future__ import annotations

from . import small_flux
from .conditioning import SmallTextConditioning

NODE_CLASS_MAPPINGS = {"MoGLETestConditioning": SmallTextConditioning}

if not small_flux.host_reads_sizes():
    small_flux.read_sizes()
