"""Marks in queued prompts for ComfyUI's cache, whose keys do not say where a node's outputs lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from server import PromptServer

Prompt = Mapping[str, Any]
Request = dict[str, Any]


def mark_each_prompt(marked: Callable[[Request], Request]) -> None:
    """From now on each request to /prompt goes through `marked`. Nothing happens without a server."""
    server: Any = getattr(PromptServer, "instance", None)
    if server is not None:
        server.add_on_prompt_handler(marked)


def with_marks(request: Request, class_type: str, mark: Callable[[Prompt, str, dict[str, Any]], None]) -> Request:
    """The request, after `mark(prompt, node id, inputs)` for each of its nodes of this class."""
    prompt = request.get("prompt")
    if not isinstance(prompt, dict):
        return request
    for node_id, node in prompt.items():
        if isinstance(node, dict) and node.get("class_type") == class_type:
            mark(prompt, node_id, node.setdefault("inputs", {}))
    return request
