"""Whether a workflow uses what Mask Painter returns: only then is an empty painting an error."""

from __future__ import annotations

from typing import Any

from server import PromptServer

from .prompt_marks import Prompt, Request, mark_each_prompt, with_marks

MASK_PAINTER = "MoGLEMaskPainter"

_MARK = "outputs_are_used"


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
    mark_each_prompt(marked)


def marked(request: Request) -> Request:
    """A request to /prompt with the marks."""
    return with_marks(request, MASK_PAINTER, _mark)


def _mark(prompt: Prompt, node_id: str, inputs: dict[str, Any]) -> None:
    if inputs.get("painting", "") == "":
        inputs[_MARK] = is_used(prompt, node_id)


def show(node_id: str, output: dict[str, Any]) -> None:
    """Sends to the page what a node shows, for a node that then fails: ComfyUI sends it after a success only."""
    server: Any = getattr(PromptServer, "instance", None)
    if server is None or server.client_id is None:
        return
    message = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": server.last_prompt_id}
    server.send_sync("executed", message, server.client_id)
