"""Whether a workflow uses what Mask Painter returns: only then is an empty painting an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server import PromptServer

MASK_PAINTER = "MoGLEMaskPainter"

_MARK = "outputs_are_used"

Prompt = Mapping[str, Any]


def is_used(prompt: Prompt | None, node_id: str | None) -> bool:
    """Whether another node takes something from this one, by its hidden inputs. False if they say nothing."""
    return any(
        isinstance(value, list) and len(value) == 2 and value[0] == node_id
        for node in (prompt or {}).values()
        if isinstance(node, dict)
        for value in node.get("inputs", {}).values()
    )


def mark_empty_painters() -> None:
    """From now on each queued prompt says at an empty Mask Painter whether its outputs are used.

    The mark is for ComfyUI's cache, whose keys do not say where outputs lead: once another node is connected, an
    empty painter must run again and say that it is empty.
    """
    server: Any = getattr(PromptServer, "instance", None)
    if server is not None:
        server.add_on_prompt_handler(marked)


def marked(request: dict[str, Any]) -> dict[str, Any]:
    """A request to /prompt with the marks."""
    prompt = request.get("prompt")
    if not isinstance(prompt, dict):
        return request
    for node_id, node in prompt.items():
        if isinstance(node, dict) and node.get("class_type") == MASK_PAINTER:
            inputs = node.setdefault("inputs", {})
            if inputs.get("painting", "") == "":
                inputs[_MARK] = is_used(prompt, node_id)
    return request


def show(node_id: str, output: dict[str, Any]) -> None:
    """Sends to the page what a node shows, for a node that then fails: ComfyUI sends it after a success only."""
    server: Any = getattr(PromptServer, "instance", None)
    if server is None or server.client_id is None:
        return
    message = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": server.last_prompt_id}
    server.send_sync("executed", message, server.client_id)
