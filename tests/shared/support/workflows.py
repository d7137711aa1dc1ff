"""Saved workflows, read as the frontend reads them: widgets in order, and the API form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FRONTEND_ONLY = {"MarkdownNote", "Note"}
TYPES = {"INT": (int,), "FLOAT": (int, float), "STRING": (str,), "BOOLEAN": (bool,), "MOGLE_PAINTING": (str,)}
# Values that the frontend saves after a widget's own, and which no definition lists.
AFTER_A_SEED, AFTER_AN_UPLOAD = {"fixed", "increment", "decrement", "randomize"}, {"image"}

Definition = dict[str, Any]
Node = dict[str, Any]
Nodes = dict[int, Node]
Links = dict[int, tuple[int, int]]


def read(path: Path) -> tuple[Nodes, Links]:
    """The nodes that a server knows, by id, and the source node and output of each link."""
    workflow = json.loads(path.read_text("utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"] if node["type"] not in FRONTEND_ONLY}
    return nodes, {link[0]: (link[1], link[2]) for link in workflow["links"]}


def inputs_of(definition: Definition) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Type (a list for an old combo) and options of each input, in the frontend's order."""
    named = definition["input"].get("required", {}) | definition["input"].get("optional", {})
    return {name: (spec[0], spec[1] if len(spec) > 1 else {}) for name, spec in named.items()}


def is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind == "COMBO" or kind in TYPES


def widgets(node: Node, definition: Definition) -> Iterator[tuple[str, Any, dict[str, Any], Any]]:
    """(name, type, options, saved value) of each widget. Values in between are checked and left out.

    A widget that was added to the node after the workflow was saved has its default.
    """
    values = iter(node["widgets_values"])
    for name, (kind, options) in inputs_of(definition).items():
        if not is_widget(kind):
            continue
        yield name, kind, options, next(values, options.get("default"))
        if options.get("control_after_generate"):
            assert next(values) in AFTER_A_SEED
        if options.get("image_upload"):
            assert next(values) in AFTER_AN_UPLOAD
    assert list(values) == [], f"{node['type']} {node['id']} has values for which there is no widget"


def as_prompt(nodes: Nodes, links: Links, definitions: Mapping[str, Definition]) -> dict[str, Any]:
    """The workflow in API form, as the frontend queues it."""
    prompt = {}
    for number, node in nodes.items():
        inputs = {name: value for name, _, _, value in widgets(node, definitions[node["type"]])}
        for entry in node["inputs"]:
            if entry["link"] is not None:
                source, output = links[entry["link"]]
                inputs[entry["name"]] = [str(source), output]
        prompt[str(number)] = {"class_type": node["type"], "inputs": inputs}
    return prompt
