"""ComfyUI-MoGLE: Face-MoGLE (arXiv 2509.00428) as native ComfyUI nodes.

ComfyUI imports this file, reads `WEB_DIRECTORY` and awaits `comfy_entrypoint`. Importing it changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    from .nodes import MoGLEExtension

    return MoGLEExtension()
