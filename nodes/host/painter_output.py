"""Whether a workflow uses what Mask Painter returns: only then is an empty painting an error."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from server import PromptServer

from .prompt_marks import Prompt, Request, mark_each_prompt, with_marks

MASK_PAINTER = "MoGLEMaskPainter"

MAP_OUTPUTS, SKETCH_OUTPUT = (0, 1), 2
"""Places of mask and preview, and of sketch."""

_MAP_MARK, _SKETCH_MARK = "outputs_are_used", "sketch_is_used"
_WITHOUT_MAP = re.compile(r"\s*(mogle2:\d+x\d+::.*)?", re.DOTALL)


def is_used(prompt: Prompt | None, node_id: str | None, outputs: Collection[int]) -> bool:
    """Whether another node takes one of these outputs, by the node's hidden inputs. False if they say nothing."""
    return any(
        isinstance(value, list) and len(value) == 2 and value[0] == node_id and value[1] in outputs
        for node in (prompt or {}).values()
        if isinstance(node, dict)
        for value in node.get("inputs", {}).values()
    )


def mark_empty_painters() -> None:
    """From now on, mark in queued prompts which outputs of each Mask Painter without a painted map are used.

    The marks are for ComfyUI's cache, whose keys do not say where outputs lead: once another node is connected, an
    empty painter must run again and say that it is empty.
    """
    mark_each_prompt(marked)


def marked(request: Request) -> Request:
    """A request to /prompt with the marks."""
    return with_marks(request, MASK_PAINTER, _mark)


def _mark(prompt: Prompt, node_id: str, inputs: dict[str, Any]) -> None:
    painting = inputs.get("painting", "")
    if not isinstance(painting, str) or not _WITHOUT_MAP.fullmatch(painting):
        return
    inputs[_MAP_MARK] = is_used(prompt, node_id, MAP_OUTPUTS)
    if not painting.strip():
        inputs[_SKETCH_MARK] = is_used(prompt, node_id, [SKETCH_OUTPUT])


def show(node_id: str, output: dict[str, Any]) -> None:
    """Sends to the page what a node shows, for a node that then fails: ComfyUI sends it after a success only."""
    server: Any = getattr(PromptServer, "instance", None)
    if server is None or server.client_id is None:
        return
    message = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": server.last_prompt_id}
    server.send_sync("executed", message, server.client_id)
