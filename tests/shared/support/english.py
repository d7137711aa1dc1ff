"""Writes locales/en/nodeDefs.json from the texts of the nodes.

    python tests/shared/support/english.py

Run it in an environment that can start the ComfyUI of COMFYUI_PATH (see environment.py), 0.33 or newer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import hosts
from support.comfy_server import Server
from support.workflows import Definition, inputs_of

LOCALES = hosts.REPOSITORY / "locales"


def node_texts(definition: Definition) -> dict[str, Any]:
    """A node's texts in the form of ComfyUI's translation files."""
    inputs = inputs_of(definition).items()
    outputs = enumerate(zip(definition["output_name"], definition["output_tooltips"], strict=True))
    return {
        "display_name": definition["display_name"],
        "description": definition["description"],
        "inputs": {slot: {"name": slot, "tooltip": options["tooltip"]} for slot, (_, options) in inputs},
        "outputs": {str(place): {"name": slot, "tooltip": tooltip} for place, (slot, tooltip) in outputs},
    }


def english(definitions: dict[str, Definition]) -> dict[str, Any]:
    """The translation file for this pack's nodes, from a server's definitions."""
    return {name: node_texts(node) for name, node in definitions.items() if node["category"] == "MoGLE"}


if __name__ == "__main__":
    with Server(hosts.choose(), {"ComfyUI-MoGLE": hosts.REPOSITORY}) as server:
        texts = english(server.get("/object_info"))
    (LOCALES / "en/nodeDefs.json").write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", "utf-8")
