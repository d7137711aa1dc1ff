"""Whether a workflow asks for what the gate does: nothing is recorded for an output that leads nowhere."""

from __future__ import annotations

from typing import Any

from .prompt_marks import Prompt, Request, mark_each_prompt, with_marks

GATED_CONDITION = "MoGLEGatedCondition"
GATES_OUTPUT = 3

_MARK = "gates_are_connected"


def asks_for_gates(prompt: Prompt | None, node_id: str | None) -> bool:
    """Whether a Gated Condition's `gates` are connected, by what its hidden inputs say.

    Nodes created by expansion are not in the prompt, so they always record.
    """
    return not prompt or node_id not in prompt or _leads_on(prompt, node_id)


def mark_prompts() -> None:
    """From now on each queued prompt says at Gated Condition whether its gates are connected.

    Not for the node, which sees the prompt itself, but for ComfyUI's cache: with Gate Maps added, sampling must
    run again, but a node's cache key does not say where its outputs lead.
    """
    mark_each_prompt(marked)


def marked(request: Request) -> Request:
    """A request to /prompt with the marks."""
    return with_marks(request, GATED_CONDITION, _mark)


def _mark(prompt: Prompt, node_id: str, inputs: dict[str, Any]) -> None:
    inputs[_MARK] = _leads_on(prompt, node_id)


def _leads_on(prompt: Prompt, node_id: str | None) -> bool:
    link = [node_id, GATES_OUTPUT]
    nodes = (node for node in prompt.values() if isinstance(node, dict))
    return any(link == value for node in nodes for value in node.get("inputs", {}).values())
